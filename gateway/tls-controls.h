/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bounds the TLS messages of a connection that cost CPU and carry no data. A key update of 27 bytes
 * costs 10 us, and so does a session ticket: a peer that sends nothing else could occupy a core.
 *
 * control  a key update, a session ticket or a request to renegotiate that was received, or an
 *          alert that was sent: OpenSSL answers each attempt to renegotiate with one
 */
#include <openssl/ssl.h>
#include <stdbool.h>

#include "policy/bucket.h"

enum {
	/* As many at once, and as many again in each TLS_CONTROLS_S. Honest peers renew keys after
	 * millions of records; servers send two to four tickets at the beginning, a few a new one
	 * each hour. */
	TLS_CONTROLS_MAX = 32,
	TLS_CONTROLS_S = 3600,
	/* A longer one counts once for each so many bytes, begun or whole: OpenSSL keeps the last
	 * ticket, which could have 64 KB, as long as the connection. Usual are 200 to 400. */
	TLS_CONTROL_BYTES = 512,
	/* Records that a control counts as (`n_records`): a key update that asks for one in return
	 * takes 60 us, with the answer's send(2); a record of a byte takes two. */
	TLS_CONTROL_RECORDS = 32,
	/* What OpenSSL reads at once of a peer that takes more than its share: four key updates. To
	 * read a record of 16 KB in such pieces takes 0.1 ms. */
	TLS_READ_SMALL = 128,
};

struct tls_controls {
	struct bucket bucket;
	/* Records that were received, with and without data, and what the controls count as. For
	 * the owner, who sets it back. */
	size_t n_records;
	bool are_too_many;
};

/* Counts those of @ssl from now on. @controls is all zero, is borrowed for the life of @ssl, and
 * must not move. */
void tls_controls_watch(struct tls_controls *controls, SSL *ssl);

/* Whether the connection has to be given up. OpenSSL handles all that it has read, up to 16 KB, at
 * once: 600 key updates, 6 ms. So ask after each of its calls, and give it no more to read; and
 * little at a time (TLS_READ_SMALL) where others wait. */
static inline bool tls_controls_are_too_many(const struct tls_controls *controls)
{
	return controls->are_too_many;
}
