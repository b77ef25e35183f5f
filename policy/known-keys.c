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
	UT_hash_handle hh;
};

struct known_keys {
	pthread_mutex_t mutex;
	struct hash_secret secret;
	struct entry *table; /* in the order of use: the least recently used one first */
	struct bucket reports;
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

static void entry_remove(struct known_keys *keys, struct entry *entry)
{
	HASH_DEL(keys->table, entry);
	free(entry);
}

struct known_keys *known_keys_free(struct known_keys *keys)
{
	if (!keys) {
		return NULL;
	}
	while (keys->table) {
		entry_remove(keys, keys->table);
	}
	pthread_mutex_destroy(&keys->mutex);
	free(keys);
	return NULL;
}

/* Adds @entry as the most recently used one; it is freed when out of memory. */
static void entry_add(struct known_keys *keys, struct entry *entry)
{
	size_t n = strlen(entry->domain);
	unsigned hash = hash_value(&keys->secret, entry->domain, n);

	HASH_ADD_KEYPTR_BYHASHVALUE(hh, keys->table, entry->domain, n, hash, entry);
	if (!entry->hh.tbl) {
		free(entry);
	}
}

static struct entry *entry_find(const struct known_keys *keys, const char *domain)
{
	size_t n = strlen(domain);
	unsigned hash = hash_value(&keys->secret, domain, n);
	struct entry *entry;

	HASH_FIND_BYHASHVALUE(hh, keys->table, domain, n, hash, entry);
	return entry;
}

static void entry_new(struct known_keys *keys, const char *domain, const struct pin *key)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry) {
		return;
	}
	if (HASH_COUNT(keys->table) >= KNOWN_KEYS_DOMAINS_MAX) {
		entry_remove(keys, keys->table);
	}
	assert(strlen(domain) <= DOMAIN_MAX);
	memcpy(entry->domain, domain, strlen(domain) + 1);
	entry->keys[0] = *key;
	entry->n_keys = 1;
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

static bool note(struct known_keys *keys, const char *domain, const struct pin *key,
		 struct mono now, struct pin *ret_last)
{
	struct entry *entry = entry_find(keys, domain);

	if (!entry) {
		entry_new(keys, domain, key);
		return false;
	}
	size_t i = key_find(entry, key);
	bool is_new = i == entry->n_keys;

	if (is_new && !bucket_take(&keys->reports, KNOWN_KEYS_REPORTS, now)) {
		return false;
	}
	*ret_last = entry->keys[0];
	key_put_first(entry, i, key);
	HASH_DEL(keys->table, entry);
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
