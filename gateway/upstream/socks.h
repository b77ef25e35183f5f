/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * SOCKS version 5 (RFC 1928) as a client, with the login by user and password (RFC 1929). An
 * engine.
 *
 * method  how to log in: not at all, or by user and password
 */
#include "common/sv.h"
#include "gateway/failure.h"
#include "gateway/upstream/tunnel-step.h"

enum {
	/* RFC 1928, 6: version, reply, reserved, kind, a name with its length, and a port. The
	 * longest message of a proxy, so nothing that it sends takes more memory. */
	SOCKS_MESSAGE_MAX = 4 + 1 + 255 + 2,
};

enum socks_state {
	SOCKS_METHOD, /* the proxy chooses the method */
	SOCKS_LOGIN,  /* it judges the login */
	SOCKS_REPLY,  /* it connects */
};

struct socks {
	const struct egress *egress;
	struct tunnel_server server;
	enum socks_state state;
	unsigned char message[SOCKS_MESSAGE_MAX]; /* what has come of it */
	size_t n_message;
};

/* Writes the first message into @out, which is empty. @egress and what @server points to are
 * borrowed for the engine's life. */
void socks_init(struct socks *socks, const struct egress *egress,
		const struct tunnel_server *server, struct tunnel_out *out);

/* Takes @bytes of the proxy. *ret_n_used is how many were its own: all of them, except those behind
 * its last message. The next message of ours is appended to @out. *ret_failure is set with
 * TUNNEL_FAILED only; then, as after TUNNEL_OPEN, the engine is at its end. */
_must_check_ enum tunnel_result socks_feed(struct socks *socks, struct sv bytes,
					   struct tunnel_out *out, size_t *ret_n_used,
					   struct failure *ret_failure);
