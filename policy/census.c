/* SPDX-License-Identifier: MIT */
#include "policy/census.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/table.h"
#include "policy/client.h"

struct census_entry {
	uint64_t key;
	size_t n_connections;
	size_t n_sessions;
	UT_hash_handle hh;
};

/* In a tree instead of a hash table: under a "*" rule clients choose the names, and could choose
 * names that collide. */
struct domain_entry {
	const char *name; /* stored after the struct, except in a search key */
	size_t n_sessions;
};

struct census {
	pthread_mutex_t mutex;
	struct census_limits limits;
	struct hash_secret secret;
	size_t n_connections;
	size_t n_sessions;
	size_t n_most; /* of both, since census_take_most() */
	struct census_entry *entries;
	void *domains; /* tsearch(3) tree of struct domain_entry */
};

int census_new(const struct census_limits *limits, struct census **ret_census)
{
	struct census *census = calloc(1, sizeof(*census));
	int r;

	if (!census) {
		return -ENOMEM;
	}
	census->limits = *limits;
	r = hash_secret_init(&census->secret);
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
	HASH_ITER(hh, census->entries, entry, next) {
		HASH_DEL(census->entries, entry);
		free(entry);
	}
	tdestroy(census->domains, free);
	pthread_mutex_destroy(&census->mutex);
	free(census);
	return NULL;
}

static struct census_entry *entry_find(struct census *census, const struct address *client)
{
	uint64_t key = client_key(client);
	unsigned hash = client_hash(key, &census->secret);
	struct census_entry *entry;

	HASH_FIND_BYHASHVALUE(hh, census->entries, &key, sizeof(key), hash, entry);
	return entry;
}

/* The entry of @client, which is added if there is none. NULL if there is no memory. */
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
	unsigned hash = client_hash(entry->key, &census->secret);

	HASH_ADD_BYHASHVALUE(hh, census->entries, key, sizeof(entry->key), hash, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

/* Frees the entry of a client that has nothing left. Otherwise the table would keep every address
 * that has ever connected. */
static void entry_settle(struct census *census, struct census_entry *entry)
{
	if (entry->n_connections == 0 && entry->n_sessions == 0) {
		HASH_DEL(census->entries, entry);
		free(entry);
	}
}

void census_set_limits(struct census *census, const struct census_limits *limits)
{
	pthread_mutex_lock(&census->mutex);
	census->limits = *limits;
	pthread_mutex_unlock(&census->mutex);
}

static void note_most(struct census *census)
{
	size_t n = census->n_connections + census->n_sessions;

	census->n_most = n > census->n_most ? n : census->n_most;
}

/* @n_own: how many connections of the gateway's it is. */
static int enter_connection(struct census *census, const struct address *client, bool is_exempt,
			    size_t n_own)
{
	int r = CENSUS_OK;

	pthread_mutex_lock(&census->mutex);
	const struct census_limits *limits = &census->limits;
	size_t n_max = limits->connections ? limits->connections : SIZE_MAX;
	struct census_entry *entry = entry_get(census, client);

	if (!entry) {
		r = -ENOMEM;
	} else {
		if (!is_exempt && entry->n_connections >= limits->connections_per_client) {
			r = CENSUS_E_CLIENT_FULL;
		} else if (n_own && census->n_connections >= n_max) {
			r = CENSUS_E_FULL;
		} else {
			entry->n_connections++;
			census->n_connections += n_own;
			note_most(census);
		}
		entry_settle(census, entry);
	}
	pthread_mutex_unlock(&census->mutex);
	return r;
}

static void leave_connection(struct census *census, const struct address *client, size_t n_own)
{
	pthread_mutex_lock(&census->mutex);
	struct census_entry *entry = entry_find(census, client);

	assert(entry && entry->n_connections && census->n_connections >= n_own);
	entry->n_connections--;
	census->n_connections -= n_own;
	entry_settle(census, entry);
	pthread_mutex_unlock(&census->mutex);
}

int census_enter_connection(struct census *census, const struct address *client, bool is_exempt)
{
	return enter_connection(census, client, is_exempt, 1);
}

void census_leave_connection(struct census *census, const struct address *client)
{
	leave_connection(census, client, 1);
}

int census_enter_forwarded(struct census *census, const struct address *client, bool is_exempt)
{
	return enter_connection(census, client, is_exempt, 0);
}

void census_leave_forwarded(struct census *census, const struct address *client)
{
	leave_connection(census, client, 0);
}

int census_enter_session(struct census *census, const struct address *client, bool is_exempt)
{
	int r = CENSUS_OK;

	pthread_mutex_lock(&census->mutex);
	struct census_entry *entry = entry_get(census, client);

	if (!entry) {
		r = -ENOMEM;
	} else {
		if (!is_exempt && entry->n_sessions >= census->limits.sessions_per_client) {
			r = CENSUS_E_CLIENT_FULL;
		} else if (census->n_sessions >= census->limits.sessions) {
			r = CENSUS_E_FULL;
		} else {
			entry->n_sessions++;
			census->n_sessions++;
			note_most(census);
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

static int domain_compare(const void *a, const void *b)
{
	return strcmp(((const struct domain_entry *)a)->name,
		      ((const struct domain_entry *)b)->name);
}

static struct domain_entry *domain_find(const struct census *census, const char *domain)
{
	const struct domain_entry key = {.name = domain};
	struct domain_entry *const *node = tfind(&key, &census->domains, domain_compare);

	return node ? *node : NULL;
}

/* Adds the entry of @domain, which has none yet. NULL if there is no memory. */
static struct domain_entry *domain_add(struct census *census, const char *domain)
{
	size_t n_name = strlen(domain) + 1;
	struct domain_entry *entry = malloc(sizeof(*entry) + n_name);

	if (!entry) {
		return NULL;
	}
	*entry = (struct domain_entry){.name = memcpy(entry + 1, domain, n_name)};
	if (!tsearch(entry, &census->domains, domain_compare)) {
		free(entry);
		return NULL;
	}
	return entry;
}

int census_enter_domain(struct census *census, const char *domain, size_t n_max)
{
	int r = CENSUS_OK;

	pthread_mutex_lock(&census->mutex);
	struct domain_entry *entry = domain_find(census, domain);

	if ((entry ? entry->n_sessions : 0) >= n_max) {
		r = CENSUS_E_DOMAIN_FULL;
	} else if (!entry) {
		entry = domain_add(census, domain);
		r = entry ? CENSUS_OK : -ENOMEM;
	}
	if (r == CENSUS_OK) {
		entry->n_sessions++;
	}
	pthread_mutex_unlock(&census->mutex);
	return r;
}

void census_leave_domain(struct census *census, const char *domain)
{
	pthread_mutex_lock(&census->mutex);
	struct domain_entry *entry = domain_find(census, domain);

	assert(entry && entry->n_sessions);
	entry->n_sessions--;
	if (entry->n_sessions == 0) {
		tdelete(entry, &census->domains, domain_compare);
		free(entry);
	}
	pthread_mutex_unlock(&census->mutex);
}

/* One of the counts. */
static size_t read_count(struct census *census, const size_t *count)
{
	pthread_mutex_lock(&census->mutex);
	size_t n = *count;

	pthread_mutex_unlock(&census->mutex);
	return n;
}

size_t census_connections(struct census *census)
{
	return read_count(census, &census->n_connections);
}

size_t census_sessions(struct census *census)
{
	return read_count(census, &census->n_sessions);
}

size_t census_take_most(struct census *census)
{
	pthread_mutex_lock(&census->mutex);
	size_t n = census->n_most;

	census->n_most = census->n_connections + census->n_sessions;
	pthread_mutex_unlock(&census->mutex);
	return n;
}
