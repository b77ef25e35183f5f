/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The TLS sessions that a worker can resume: the latest one for each trust key. The table is
 * bounded; the least recently used entry goes first. Times are seconds as of time(2) and are passed
 * in.
 *
 * trust key  a digest of all that a connection required of the server's certificate. A session that
 *            was verified under one key is worthless under another.
 *
 * A session is used until the server sends a newer one. RFC 8446 (C.4) advises against it because
 * observers could link connections; but all of ours come from the gateway's address anyway.
 */
#include <openssl/ssl.h>
#include <stdint.h>

#include "common/macro.h"

enum {
	/* SHA-256; also the longest id context that OpenSSL accepts. */
	TRUST_KEY_SIZE = 32,
};

struct session_cache;

/* @n_max is at least 1. Returns 0 or a negative errno. */
_must_check_ int session_cache_new(size_t n_max, struct session_cache **ret_cache);
struct session_cache *session_cache_free(struct session_cache *cache);

/* Stores @session until @until and takes over its reference. Nothing is stored when out of memory,
 * when @key is barred, or when @until is over; the next handshake is a full one. */
void session_cache_put(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE],
		       SSL_SESSION *session, int64_t until, int64_t now);

/* Returns the session of @key, borrowed until the next call, and its end; or NULL when there is
 * none that can be resumed. */
SSL_SESSION *session_cache_get(struct session_cache *cache,
			       const unsigned char key[static TRUST_KEY_SIZE], int64_t now,
			       int64_t *ret_until);

void session_cache_forget(struct session_cache *cache,
			  const unsigned char key[static TRUST_KEY_SIZE]);

/* Bars @key until @until: nothing is stored for it. For servers that reject the sessions they hand
 * out. */
void session_cache_bar(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE],
		       int64_t until);

/* Forgets all sessions, and begins a new epoch. */
void session_cache_clear(struct session_cache *cache);

/* The number of times that the cache was cleared. */
unsigned session_cache_epoch(const struct session_cache *cache);
