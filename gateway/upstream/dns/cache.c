/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/hash.h"
#include "common/table.h"

struct entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) in_cache;
	struct dns_reply *reply;
	struct mono expiry;
	enum dns_kind kind;
	size_t n_bytes;
	char name[];
};

struct dns_cache {
	struct hash_secret secret;
	struct entry *entries[DNS_KIND_COUNT]; /* uthash by name */
	TAILQ_HEAD(, entry) by_use;            /* entry::in_cache; most recently used last */
	size_t n_entries;
	size_t n_bytes;
};

int dns_cache_new(struct dns_cache **ret_cache)
{
	struct dns_cache *cache = calloc(1, sizeof(*cache));

	if (!cache) {
		return -ENOMEM;
	}
	int r = hash_secret_init(&cache->secret);

	if (r < 0) {
		free(cache);
		return r;
	}
	TAILQ_INIT(&cache->by_use);
	*ret_cache = cache;
	return 0;
}

static void entry_drop(struct dns_cache *cache, struct entry *entry)
{
	HASH_DEL(cache->entries[entry->kind], entry);
	TAILQ_REMOVE(&cache->by_use, entry, in_cache);
	cache->n_entries--;
	cache->n_bytes -= entry->n_bytes;
	dns_reply_unref(entry->reply);
	free(entry);
}

struct dns_cache *dns_cache_free(struct dns_cache *cache)
{
	struct entry *entry;

	if (!cache) {
		return NULL;
	}
	while ((entry = TAILQ_FIRST(&cache->by_use))) {
		entry_drop(cache, entry);
	}
	free(cache);
	return NULL;
}

static struct entry *entry_find(struct dns_cache *cache, enum dns_kind kind, const char *name)
{
	size_t n_name = strlen(name);
	unsigned hash = hash_value(&cache->secret, name, n_name);
	struct entry *entry;

	HASH_FIND_BYHASHVALUE(hh, cache->entries[kind], name, n_name, hash, entry);
	return entry;
}

static void entry_add(struct dns_cache *cache, struct entry *entry)
{
	size_t n_name = strlen(entry->name);
	unsigned hash = hash_value(&cache->secret, entry->name, n_name);

	HASH_ADD_BYHASHVALUE(hh, cache->entries[entry->kind], name, n_name, hash, entry);
}

struct dns_reply *dns_cache_find(struct dns_cache *cache, enum dns_kind kind, const char *name,
				 struct mono now)
{
	struct entry *entry = entry_find(cache, kind, name);

	if (!entry) {
		return NULL;
	}
	if (mono_reached(entry->expiry, now)) {
		entry_drop(cache, entry);
		return NULL;
	}
	TAILQ_REMOVE(&cache->by_use, entry, in_cache);
	TAILQ_INSERT_TAIL(&cache->by_use, entry, in_cache);
	return dns_reply_ref(entry->reply);
}

static uint32_t within(uint32_t ttl_s, uint32_t max_s)
{
	if (ttl_s < DNS_CACHE_TTL_MIN_S) {
		return DNS_CACHE_TTL_MIN_S;
	}
	return ttl_s < max_s ? ttl_s : max_s;
}

static uint32_t reply_lifetime_s(const struct dns_reply *reply)
{
	switch (reply->result) {
	case RESOLVER_OK:
		return within(reply->ttl_s, DNS_CACHE_TTL_MAX_S);
	case RESOLVER_NO_NAME:
		return within(reply->ttl_s, DNS_CACHE_NEGATIVE_TTL_MAX_S);
	default:
		return DNS_CACHE_FAILURE_TTL_S;
	}
}

static struct entry *entry_new(enum dns_kind kind, const char *name, struct dns_reply *reply,
			       struct mono now)
{
	size_t n_name = strlen(name) + 1;
	struct entry *entry = malloc(sizeof(*entry) + n_name);

	if (!entry) {
		return NULL;
	}
	*entry = (struct entry){
		.kind = kind,
		.expiry = mono_add_s(now, reply_lifetime_s(reply)),
		.n_bytes = sizeof(*entry) + n_name + reply->n_bytes,
	};
	memcpy(entry->name, name, n_name);
	return entry;
}

void dns_cache_put(struct dns_cache *cache, enum dns_kind kind, const char *name,
		   struct dns_reply *reply, struct mono now)
{
	struct entry *old = entry_find(cache, kind, name);
	struct entry *entry = entry_new(kind, name, reply, now);

	if (old) {
		entry_drop(cache, old);
	}
	if (!entry) {
		return;
	}
	entry_add(cache, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return;
	}
	entry->reply = dns_reply_ref(reply);
	TAILQ_INSERT_TAIL(&cache->by_use, entry, in_cache);
	cache->n_entries++;
	cache->n_bytes += entry->n_bytes;
	while (cache->n_entries > DNS_CACHE_MAX || cache->n_bytes > DNS_CACHE_BYTES_MAX) {
		/* A single entry is within both limits. */
		assert(cache->n_entries > 1);
		entry_drop(cache, TAILQ_FIRST(&cache->by_use));
	}
}
