/* SPDX-License-Identifier: MIT */
#include "policy/census.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "policy/client.h"

/* uthash ends the process when it gets no memory, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->is_homeless = true)
#include <uthash.h>

struct census_entry {
	uint64_t key;
	size_t n_connections;
	size_t n_sessions;
	bool is_homeless; /* the table had no memory for it */
	UT_hash_handle hh;
};

struct census {
	pthread_mutex_t mutex;
	struct census_limits limits;
	uint64_t secret;
	size_t n_sessions;
	struct census_entry *entries;
};

int census_new(const struct census_limits *limits, struct census **ret_census)
{
	struct census *census = calloc(1, sizeof(*census));
	int r;

	if (!census) {
		return -ENOMEM;
	}
	census->limits = *limits;
	r = random_bytes(&census->secret, sizeof(census->secret));
	if (r == 0) {
		r = -pthread_mutex_init(&census->mutex, NULL);
	}
	if (r < 0) {
		free(census);
		return r;
	}
	*ret_census = census;
	return 0;
}

struct census *census_free(struct census *census)
{
	struct census_entry *entry;
	struct census_entry *next;

	if (!census) {
		return NULL;
	}
	HASH_ITER (hh, census->entries, entry, next) {
		HASH_DEL(census->entries, entry);
		free(entry);
	}
	pthread_mutex_destroy(&census->mutex);
	free(census);
	return NULL;
}

/* Keyed: whoever owns many /64s must not be able to choose those that share one chain. */
static unsigned key_hash(const struct census *census, uint64_t key)
{
	uint64_t hash = key ^ census->secret;

	hash = (hash ^ (hash >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	hash += census->secret;
	hash = (hash ^ (hash >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return (unsigned)(hash ^ (hash >> 32));
}

static struct census_entry *entry_find(struct census *census, const struct address *client)
{
	uint64_t key = client_key(client);
	unsigned hash = key_hash(census, key);
	struct census_entry *entry;

	HASH_FIND_BYHASHVALUE(hh, census->entries, &key, sizeof(key), hash, entry);
	return entry;
}

/* The entry of @client, made when there is none; NULL without memory. */
static struct census_entry *entry_get(struct census *census, const struct address *client)
{
	struct census_entry *entry = entry_find(census, client);

	if (entry) {
		return entry;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry) {
		return NULL;
	}
	entry->key = client_key(client);
	unsigned hash = key_hash(census, entry->key);

	HASH_ADD_BYHASHVALUE(hh, census->entries, key, sizeof(entry->key), hash, entry);
	if (entry->is_homeless) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* Entries without places go, else every address that ever came would stay in memory. */
static void entry_settle(struct census *census, struct census_entry *entry)
{
	if (entry->n_connections == 0 && entry->n_sessions == 0) {
		HASH_DEL(census->entries, entry);
		free(entry);
	}
}

int census_enter_connection(struct census *census, const struct address *client)
{
	int r = 0;

	pthread_mutex_lock(&census->mutex);
	struct census_entry *entry = entry_get(census, client);

	if (!entry) {
		r = -ENOMEM;
	} else {
		if (entry->n_connections >= census->limits.connections_per_client) {
			r = -EUSERS;
		} else {
			entry->n_connections++;
		}
		entry_settle(census, entry);
	}
	pthread_mutex_unlock(&census->mutex);
	return r;
}

void census_leave_connection(struct census *census, const struct address *client)
{
	pthread_mutex_lock(&census->mutex);
	struct census_entry *entry = entry_find(census, client);

	assert(entry && entry->n_connections);
	entry->n_connections--;
	entry_settle(census, entry);
	pthread_mutex_unlock(&census->mutex);
}

int census_enter_session(struct census *census, const struct address *client)
{
	int r = 0;

	pthread_mutex_lock(&census->mutex);
	struct census_entry *entry = entry_get(census, client);

	if (!entry) {
		r = -ENOMEM;
	} else {
		if (entry->n_sessions >= census->limits.sessions_per_client) {
			r = -EUSERS;
		} else if (census->n_sessions >= census->limits.sessions) {
			r = -ENOSPC;
		} else {
			entry->n_sessions++;
			census->n_sessions++;
		}
		entry_settle(census, entry);
	}
	pthread_mutex_unlock(&census->mutex);
	return r;
}

void census_leave_session(struct census *census, const struct address *client)
{
	pthread_mutex_lock(&census->mutex);
	struct census_entry *entry = entry_find(census, client);

	assert(entry && entry->n_sessions);
	entry->n_sessions--;
	census->n_sessions--;
	entry_settle(census, entry);
	pthread_mutex_unlock(&census->mutex);
}

size_t census_sessions(struct census *census)
{
	pthread_mutex_lock(&census->mutex);
	size_t n = census->n_sessions;

	pthread_mutex_unlock(&census->mutex);
	return n;
}

size_t census_clients(struct census *census)
{
	pthread_mutex_lock(&census->mutex);
	size_t n = HASH_COUNT(census->entries);

	pthread_mutex_unlock(&census->mutex);
	return n;
}
