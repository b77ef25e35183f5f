/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A cache of DNS replies. An engine: the time is passed in.
 *
 * Replies are kept for their TTL, within bounds: zones belong to strangers and must neither make
 * the gateway repeat a question for each session nor make it keep a mistake for a week.
 */
#include "common/mono.h"
#include "gateway/upstream/dns/reply.h"

struct dns_cache;

enum {
	/* Bounds of memory (a set of SRV targets takes up to 4 KB, a set of TLSA records 8 KB):
	 * clients that name ever new domains fill the cache. The least recently used reply goes
	 * first. */
	DNS_CACHE_MAX = 4096,
	DNS_CACHE_BYTES_MAX = 4 * 1024 * 1024,
	/* With a TTL of 0, clients could make the gateway ask the DNS for each session. */
	DNS_CACHE_TTL_MIN_S = 5,
	/* Limits how long a mistake or a forgery stays, whatever its TTL. */
	DNS_CACHE_TTL_MAX_S = 3600,
	/* The same for names that do not exist. An operator who has just added a record soon tries
	 * again. */
	DNS_CACHE_NEGATIVE_TTL_MAX_S = 300,
	/* Failures pass, so they are kept only to spare the next sessions the same time-out. */
	DNS_CACHE_FAILURE_TTL_S = 3,
};

/* Returns 0 or a negative errno. */
_must_check_ int dns_cache_new(struct dns_cache **ret_cache);

/* Takes NULL; returns NULL. */
struct dns_cache *dns_cache_free(struct dns_cache *cache);

/* Returns a valid reply to @kind and @name at @now with a new reference, or NULL. Names are
 * compared byte by byte: the caller writes them in lower case. */
struct dns_reply *dns_cache_find(struct dns_cache *cache, enum dns_kind kind, const char *name,
				 struct mono now);

/* Stores @reply, with a reference of its own, in place of an earlier reply. Does nothing when out
 * of memory. */
void dns_cache_put(struct dns_cache *cache, enum dns_kind kind, const char *name,
		   struct dns_reply *reply, struct mono now);
