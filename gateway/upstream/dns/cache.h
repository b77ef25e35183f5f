/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A cache of DNS answers, kept for as long as they hold. An engine: the time is passed in.
 *
 * What the DNS says of that time is taken within bounds, for zones are other people's: none may make the gateway
 * ask anew for each session, nor hold on to a mistake for a week.
 */
#include "common/mono.h"
#include "gateway/upstream/dns/reply.h"

struct dns_cache;

enum {
	/* Clients that name one domain after the other fill the cache with them. So many are kept, and so many
	 * bytes (a set of targets is 4 KB at most, one of TLSA records 8 KB); then the one goes that was not used
	 * for longest. This also bounds what names cost that were made to share a place in the hash table. */
	DNS_CACHE_MAX = 4096,
	DNS_CACHE_BYTES_MAX = 4 * 1024 * 1024,
	/* A zone with TTL 0 would have the gateway ask the DNS for each session, at its clients' bidding. */
	DNS_CACHE_TTL_MIN_S = 5,
	/* A zone that was wrong, or forged, for a moment, with a TTL of years. */
	DNS_CACHE_TTL_MAX_S = 3600,
	/* Likewise that a name does not exist; and an operator who has just added it tries again soon. */
	DNS_CACHE_NEGATIVE_TTL_MAX_S = 300,
	/* Failures: that a time-out is not waited for by each session anew, and no longer, for they pass. */
	DNS_CACHE_FAILURE_TTL_S = 3,
};

/* Returns 0 or -ENOMEM. */
_must_check_ int dns_cache_new(struct dns_cache **ret_cache);

/* Lets go of all. NULL is fine. Returns NULL. */
struct dns_cache *dns_cache_free(struct dns_cache *cache);

/* The answer for @kind at @name that still holds at @now, with a reference for the caller; or NULL. Names are
 * compared as they are written: the caller writes them in one case. */
struct dns_reply *dns_cache_find(struct dns_cache *cache, enum dns_kind kind, const char *name, struct mono now);

/* Keeps @reply, with a reference of its own, in place of an older one. Without memory for it nothing is kept. */
void dns_cache_put(struct dns_cache *cache, enum dns_kind kind, const char *name, struct dns_reply *reply,
		 struct mono now);

/* What is kept now, for the bounds above. */
size_t dns_cache_count(const struct dns_cache *cache);
size_t dns_cache_bytes(const struct dns_cache *cache);
