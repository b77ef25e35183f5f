/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls/session-cache.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/hash.h"
#include "common/table.h"

struct entry {
	unsigned char key[TRUST_KEY_SIZE];
	SSL_SESSION *session; /* NULL: barred */
	int64_t until;
	TAILQ_ENTRY(entry) in_use;
	UT_hash_handle hh;
};

TAILQ_HEAD(entries, entry);

struct session_cache {
	struct hash_secret secret;
	unsigned epoch;
	struct entry *table;
	struct entries used; /* entry::in_use; least recently used first */
	size_t n_max;
};

int session_cache_new(size_t n_max, struct session_cache **ret_cache)
{
	struct session_cache *cache = calloc(1, sizeof(*cache));

	if (!cache) {
		return -ENOMEM;
	}
	int r = hash_secret_init(&cache->secret);

	if (r < 0) {
		free(cache);
		return r;
	}
	assert(n_max > 0);
	TAILQ_INIT(&cache->used);
	cache->n_max = n_max;
	*ret_cache = cache;
	return 0;
}

static void entry_remove(struct session_cache *cache, struct entry *entry)
{
	TAILQ_REMOVE(&cache->used, entry, in_use);
	HASH_DEL(cache->table, entry);
	SSL_SESSION_free(entry->session);
	free(entry);
}

void session_cache_clear(struct session_cache *cache)
{
	while (!TAILQ_EMPTY(&cache->used)) {
		entry_remove(cache, TAILQ_FIRST(&cache->used));
	}
	cache->epoch++;
}

unsigned session_cache_epoch(const struct session_cache *cache)
{
	return cache->epoch;
}

struct session_cache *session_cache_free(struct session_cache *cache)
{
	if (!cache) {
		return NULL;
	}
	session_cache_clear(cache);
	free(cache);
	return NULL;
}

static struct entry *entry_find(const struct session_cache *cache, const unsigned char *key)
{
	unsigned hash = hash_value(&cache->secret, key, TRUST_KEY_SIZE);
	struct entry *entry;

	HASH_FIND_BYHASHVALUE(hh, cache->table, key, TRUST_KEY_SIZE, hash, entry);
	return entry;
}

/* Returns the entry of @key. Makes one if there is none; a full table drops its least recently used
 * entry. Returns NULL when out of memory. */
static struct entry *entry_get(struct session_cache *cache, const unsigned char *key)
{
	struct entry *entry = entry_find(cache, key);

	if (entry) {
		return entry;
	}
	if (HASH_COUNT(cache->table) >= cache->n_max) {
		assert(!TAILQ_EMPTY(&cache->used));
		entry_remove(cache, TAILQ_FIRST(&cache->used));
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry) {
		return NULL;
	}
	unsigned hash = hash_value(&cache->secret, key, TRUST_KEY_SIZE);

	memcpy(entry->key, key, TRUST_KEY_SIZE);
	HASH_ADD_BYHASHVALUE(hh, cache->table, key, TRUST_KEY_SIZE, hash, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&cache->used, entry, in_use);
	return entry;
}

static bool is_barred(const struct entry *entry, int64_t now)
{
	return entry && !entry->session && entry->until > now;
}

static void entry_use(struct session_cache *cache, struct entry *entry)
{
	TAILQ_REMOVE(&cache->used, entry, in_use);
	TAILQ_INSERT_TAIL(&cache->used, entry, in_use);
}

void session_cache_put(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE],
		       SSL_SESSION *session, int64_t until, int64_t now)
{
	bool is_kept = until > now && !is_barred(entry_find(cache, key), now);
	struct entry *entry = is_kept ? entry_get(cache, key) : NULL;

	if (!entry) {
		session_cache_forget(cache, key);
		SSL_SESSION_free(session);
		return;
	}
	SSL_SESSION_free(entry->session);
	entry->session = session;
	entry->until = until;
	entry_use(cache, entry);
}

SSL_SESSION *session_cache_get(struct session_cache *cache,
			       const unsigned char key[static TRUST_KEY_SIZE], int64_t now,
			       int64_t *ret_until)
{
	struct entry *entry = entry_find(cache, key);

	if (!entry || is_barred(entry, now)) {
		return NULL;
	}
	if (entry->until <= now || !SSL_SESSION_is_resumable(entry->session)) {
		entry_remove(cache, entry);
		return NULL;
	}
	entry_use(cache, entry);
	*ret_until = entry->until;
	return entry->session;
}

void session_cache_forget(struct session_cache *cache,
			  const unsigned char key[static TRUST_KEY_SIZE])
{
	struct entry *entry = entry_find(cache, key);

	if (entry && entry->session) {
		entry_remove(cache, entry);
	}
}

void session_cache_bar(struct session_cache *cache, const unsigned char key[static TRUST_KEY_SIZE],
		       int64_t until)
{
	struct entry *entry = entry_get(cache, key);

	if (entry) {
		SSL_SESSION_free(entry->session);
		entry->session = NULL;
		entry->until = until;
		entry_use(cache, entry);
	}
}
