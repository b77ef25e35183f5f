/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The answers that a BOSH session has given, so that a repeated request gets the same answer again
 * (XEP-0124, "Broken Connections"), and so that it is known what did not arrive when the client
 * acknowledges answers ("Response Acknowledgements"). Section names are XEP-0124's.
 *
 * reply     one such answer, with what is needed to check a repeat of its request
 * extra     the reply to a request that pauses the session or closes one of its streams, which may
 *           be one more than `requests`. It does not count among the `requests` replies that have
 *           to be kept. It is kept while it is among the latest `requests` and one: a client that
 *           waits for it cannot have sent more
 * followed  the client has sent another request since the reply: it has got the reply, or will ask
 *           for it again
 * missing   the reply that the client should have acknowledged by now, to be reported to it once
 *
 * A cache holds a limited number of replies; beyond it the oldest go. Their bytes are limited by
 * what one answer can carry: what may be pending, what is read of a server at once, and one element
 * that began before. To drop a reply because it is large would end the session of a client that
 * repeats its request.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/blob.h"
#include "common/mono.h"
#include "gateway/bosh/key.h"

enum {
	/* Replies of a session with acknowledgements. A client that never acknowledges any must not
	 * fill our memory. */
	BOSH_REPLIES_MAX = 64,
	/* A reply is missing only if it was sent this many milliseconds ago: a younger one may
	 * still be on its way. */
	BOSH_REPORT_MS = 1000,
};

struct bosh_reply {
	uint64_t rid;
	struct blob *blob;
	struct mono answered;
	unsigned n_repeats;
	struct bosh_key key;
	bool is_extra;
	bool is_followed;
	unsigned stream;    /* of whose server the payloads are */
	struct sv payloads; /* in blob; empty when the stream has been closed */
};

struct bosh_reply_cache {
	struct bosh_reply *items; /* oldest first */
	size_t n, size;
	size_t n_max;        /* replies, not counting extra ones */
	size_t n_bytes;      /* of all payloads */
	uint64_t missing;    /* its rid; 0: none */
	unsigned missing_ms; /* how long ago it was sent */
	uint64_t reported;   /* the rid of the latest that was reported */
};

void bosh_reply_cache_init(struct bosh_reply_cache *cache, size_t n_max);
void bosh_reply_cache_deinit(struct bosh_reply_cache *cache);

/* Drops the replies that one more, @is_extra or not, leaves no place for, so that it can be put
 * without memory. Returns 0 or -ENOMEM. */
_must_check_ int bosh_reply_cache_reserve(struct bosh_reply_cache *cache, bool is_extra);

/* Keeps a copy of @reply and takes a reference to its blob. Returns 0 or -ENOMEM. */
_must_check_ int bosh_reply_cache_put(struct bosh_reply_cache *cache,
				      const struct bosh_reply *reply);

/* The reply to @rid, or NULL. Valid until the next call. */
struct bosh_reply *bosh_reply_cache_find(const struct bosh_reply_cache *cache, uint64_t rid);

/* The client has sent a request. */
void bosh_reply_cache_follow(struct bosh_reply_cache *cache);

/* The client has all replies up to @rid: they go. Finds out whether the next one is missing. */
void bosh_reply_cache_acknowledge(struct bosh_reply_cache *cache, uint64_t rid, struct mono now);

/* The missing reply has been reported. */
void bosh_reply_cache_set_reported(struct bosh_reply_cache *cache);

/* The stream is closed: its payloads cannot be returned to its server any more. */
void bosh_reply_cache_forget_stream(struct bosh_reply_cache *cache, unsigned stream);
