/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The TLS sessions that a worker can resume: one for each trust key, the latest. A bounded table; the one that was
 * longest of no use goes first. No clock: seconds as of time(2) are passed in.
 *
 * trust key  a digest over all that a connection asked of its server's certificate. What was verified under one is of
 *            no worth under another.
 *
 * The latest session is used again and again until the server has sent a newer one. RFC 8446 (C.4) advises against it
 * because it lets an observer link connections; ours all come from the gateway's one address.
 */
#include <openssl/ssl.h>
#include <stdint.h>

#include "common/macro.h"

enum {
	/* SHA-256, and the longest id context that OpenSSL takes. */
	TRUST_KEY_SIZE = 32,
};

struct session_cache;

/* @n_max is at least 1. Returns 0 or -ENOMEM. */
_must_check_ int session_cache_new(size_t n_max, struct session_cache **ret_cache);
struct session_cache *session_cache_free(struct session_cache *cache);

/* Keeps @session, whose reference is the cache's from now on, for as long as @now < @until. Without memory, under a
 * key that is barred, or when that is over already, it is not kept: the next handshake is a full one. */
void session_cache_put(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE],
		       SSL_SESSION *session, int64_t until, int64_t now);

/* The session under @key, borrowed until the next call, and until when it is good; NULL when there is none, or none
 * that can be resumed. */
SSL_SESSION *session_cache_get(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE],
			       int64_t now, int64_t *ret_until);

void session_cache_forget(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE]);

/* Until @until there is no session under @key, whatever is put there: for a server that gives what it then takes
 * amiss. */
void session_cache_bar(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE], int64_t until);

size_t session_cache_count(const struct session_cache *cache);
