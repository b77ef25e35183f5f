/* SPDX-License-Identifier: MIT */
#include "policy/known-keys.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/table.h"

struct entry {
	char domain[DOMAIN_MAX + 1];
	struct pin keys[KNOWN_KEYS_MAX]; /* the one that was shown last is the first */
	size_t n_keys;
	bool is_settled;
	struct mono first, last; /* visit */
	struct bucket reports;
	UT_hash_handle hh;
};

struct known_keys {
	pthread_mutex_t mutex;
	struct hash_secret secret;
	/* in the order of use: the least recently used one first */
	struct entry *newcomers, *settled;
	struct bucket reports; /* of newcomers */
	struct bucket counts;
	uint64_t n_missed;
};

int known_keys_new(struct known_keys **ret_keys)
{
	struct known_keys *keys = calloc(1, sizeof(*keys));

	if (!keys) {
		return -ENOMEM;
	}
	int r = hash_secret_init(&keys->secret);

	if (r == 0) {
		r = -pthread_mutex_init(&keys->mutex, NULL);
	}
	if (r < 0) {
		free(keys);
		return r;
	}
	*ret_keys = keys;
	return 0;
}

static struct entry **table_of(struct known_keys *keys, bool is_settled)
{
	return is_settled ? &keys->settled : &keys->newcomers;
}

static void entry_remove(struct entry **table, struct entry *entry)
{
	HASH_DEL(*table, entry);
	free(entry);
}

static void table_clear(struct entry **table)
{
	while (*table) {
		entry_remove(table, *table);
	}
}

struct known_keys *known_keys_free(struct known_keys *keys)
{
	if (!keys) {
		return NULL;
	}
	table_clear(&keys->newcomers);
	table_clear(&keys->settled);
	pthread_mutex_destroy(&keys->mutex);
	free(keys);
	return NULL;
}

/* Adds @entry as the most recently used one of its table, in the place of the least recently used
 * one if the table is full. It is freed when out of memory. */
static void entry_add(struct known_keys *keys, struct entry *entry)
{
	struct entry **table = table_of(keys, entry->is_settled);
	size_t n_max = entry->is_settled ? KNOWN_KEYS_SETTLED_MAX : KNOWN_KEYS_NEWCOMERS_MAX;
	size_t n = strlen(entry->domain);
	unsigned hash = hash_value(&keys->secret, entry->domain, n);

	if (HASH_COUNT(*table) >= n_max) {
		entry_remove(table, *table);
	}
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, *table, entry->domain, n, hash, entry);
	if (!entry->hh.tbl) {
		free(entry);
	}
}

static struct entry *entry_find(const struct known_keys *keys, const char *domain)
{
	size_t n = strlen(domain);
	unsigned hash = hash_value(&keys->secret, domain, n);
	struct entry *entry;

	HASH_FIND_BYHASHVALUE(hh, keys->settled, domain, n, hash, entry);
	if (!entry) {
		HASH_FIND_BYHASHVALUE(hh, keys->newcomers, domain, n, hash, entry);
	}
	return entry;
}

static void entry_new(struct known_keys *keys, const char *domain, const struct pin *key,
		      struct mono now)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry) {
		return;
	}
	assert(strlen(domain) <= DOMAIN_MAX);
	memcpy(entry->domain, domain, strlen(domain) + 1);
	entry->keys[0] = *key;
	entry->n_keys = 1;
	entry->first = entry->last = now;
	entry_add(keys, entry);
}

/* Returns the place of @key, or n_keys. */
static size_t key_find(const struct entry *entry, const struct pin *key)
{
	size_t i = 0;

	while (i < entry->n_keys &&
	       memcmp(entry->keys[i].sha256, key->sha256, sizeof(key->sha256)) != 0) {
		i++;
	}
	return i;
}

/* @key, which is at @i or new, becomes the first. */
static void key_put_first(struct entry *entry, size_t i, const struct pin *key)
{
	if (i == entry->n_keys && entry->n_keys < KNOWN_KEYS_MAX) {
		entry->n_keys++;
	}
	if (i == KNOWN_KEYS_MAX) {
		i--;
	}
	memmove(entry->keys + 1, entry->keys, i * sizeof(*entry->keys));
	entry->keys[0] = *key;
}

/* Whether a change of @entry may be reported. If so, that counts. */
static bool take_report(struct known_keys *keys, struct entry *entry, struct mono now)
{
	if (!bucket_has(&entry->reports, KNOWN_KEYS_DOMAIN_REPORTS, now) ||
	    (!entry->is_settled && !bucket_take(&keys->reports, KNOWN_KEYS_REPORTS, now))) {
		keys->n_missed++;
		return false;
	}
	bucket_charge(&entry->reports, KNOWN_KEYS_DOMAIN_REPORTS, now);
	return true;
}

/* Whether @entry has been there for long enough, and there is room. */
static bool may_settle(const struct known_keys *keys, const struct entry *entry, struct mono now)
{
	return mono_diff_ms(now, entry->first) >= KNOWN_KEYS_SETTLE_MS &&
	       (HASH_COUNT(keys->settled) < KNOWN_KEYS_SETTLED_MAX ||
		mono_diff_ms(now, keys->settled->last) >= KNOWN_KEYS_KEPT_MS);
}

static bool note(struct known_keys *keys, const char *domain, const struct pin *key,
		 struct mono now, struct pin *ret_last)
{
	struct entry *entry = entry_find(keys, domain);

	if (!entry) {
		entry_new(keys, domain, key, now);
		return false;
	}
	size_t i = key_find(entry, key);
	bool is_new = i == entry->n_keys;

	if (is_new && !take_report(keys, entry, now)) {
		return false;
	}
	*ret_last = entry->keys[0];
	key_put_first(entry, i, key);
	HASH_DEL(*table_of(keys, entry->is_settled), entry);
	entry->last = now;
	if (!is_new && may_settle(keys, entry, now)) {
		entry->is_settled = true;
	}
	entry_add(keys, entry);
	return is_new;
}

bool known_keys_note(struct known_keys *keys, const char *domain, const struct pin *key,
		     struct mono now, struct pin *ret_last)
{
	pthread_mutex_lock(&keys->mutex);
	bool is_new = note(keys, domain, key, now, ret_last);

	pthread_mutex_unlock(&keys->mutex);
	return is_new;
}

uint64_t known_keys_missed(struct known_keys *keys, struct mono now)
{
	uint64_t n_missed = 0;

	pthread_mutex_lock(&keys->mutex);
	if (keys->n_missed && bucket_take(&keys->counts, KNOWN_KEYS_COUNTS, now)) {
		n_missed = keys->n_missed;
		keys->n_missed = 0;
	}
	pthread_mutex_unlock(&keys->mutex);
	return n_missed;
}
