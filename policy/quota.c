/* SPDX-License-Identifier: MIT */
#include "policy/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/hash.h"
#include "policy/client.h"

enum { N_CHAINS = QUOTA_CLIENTS_MAX };

struct interval {
	struct mono end;
	size_t n_granted;
	uint64_t n_excess;
};

struct entry {
	LIST_ENTRY(entry) in_chain;
	TAILQ_ENTRY(entry) in_order; /* in the list of unused entries otherwise */
	uint64_t key;
	struct address client;
	struct interval interval;
};

struct quota {
	struct quota_limits limits;
	struct hash_secret secret;
	struct interval others;
	bool has_others;
	LIST_HEAD(, entry) chains[N_CHAINS];
	TAILQ_HEAD(entries, entry) order; /* by the start of the interval */
	struct entries unused;
	size_t n_touched; /* entries from here on have never been used and occupy no memory yet */
	struct entry entries[QUOTA_CLIENTS_MAX];
};

void quota_set_limits(struct quota *quota, const struct quota_limits *limits)
{
	quota->limits = *limits;
}

int quota_new(const struct quota_limits *limits, struct quota **ret_quota)
{
	struct quota *quota = calloc(1, sizeof(*quota));

	if (!quota) {
		return -ENOMEM;
	}
	quota->limits = *limits;
	TAILQ_INIT(&quota->order);
	TAILQ_INIT(&quota->unused);
	int r = hash_secret_init(&quota->secret);

	if (r < 0) {
		free(quota);
		return r;
	}
	*ret_quota = quota;
	return 0;
}

struct quota *quota_free(struct quota *quota)
{
	free(quota);
	return NULL;
}

static size_t chain_of(const struct quota *quota, uint64_t key)
{
	return client_hash(key, &quota->secret) % N_CHAINS;
}

static struct entry *entry_find(struct quota *quota, uint64_t key)
{
	struct entry *entry;

	LIST_FOREACH(entry, &quota->chains[chain_of(quota, key)], in_chain) {
		if (entry->key == key) {
			return entry;
		}
	}
	return NULL;
}

/* Returns NULL when the table is full. */
static struct entry *entry_add(struct quota *quota, uint64_t key)
{
	struct entry *entry = TAILQ_FIRST(&quota->unused);

	if (entry) {
		TAILQ_REMOVE(&quota->unused, entry, in_order);
	} else if (quota->n_touched < QUOTA_CLIENTS_MAX) {
		entry = &quota->entries[quota->n_touched++];
	} else {
		return NULL;
	}
	entry->key = key;
	LIST_INSERT_HEAD(&quota->chains[chain_of(quota, key)], entry, in_chain);
	TAILQ_INSERT_TAIL(&quota->order, entry, in_order);
	return entry;
}

static void entry_remove(struct quota *quota, struct entry *entry)
{
	LIST_REMOVE(entry, in_chain);
	TAILQ_REMOVE(&quota->order, entry, in_order);
	TAILQ_INSERT_HEAD(&quota->unused, entry, in_order);
}

static void interval_begin(struct quota *quota, struct interval *interval, struct mono now)
{
	*interval = (struct interval){.end = mono_add_ms(now, quota->limits.interval_ms)};
}

static bool interval_take(struct interval *interval, size_t n_max)
{
	if (interval->n_granted < n_max) {
		interval->n_granted++;
		return true;
	}
	interval->n_excess++;
	return false;
}

static bool take_among_others(struct quota *quota, struct mono now, struct quota_excess *ret_excess)
{
	struct interval *others = &quota->others;

	if (!quota->has_others || mono_reached(others->end, now)) {
		*ret_excess = (struct quota_excess){.n = others->n_excess, .is_others = true};
		quota->has_others = true;
		interval_begin(quota, others, now);
	}
	return interval_take(others, quota->limits.n_others);
}

bool quota_take(struct quota *quota, const struct address *client, struct mono now,
		struct quota_excess *ret_excess)
{
	uint64_t key = client_key(client);
	struct entry *entry = entry_find(quota, key);

	*ret_excess = (struct quota_excess){0};
	if (entry && mono_reached(entry->interval.end, now)) {
		*ret_excess = (struct quota_excess){.n = entry->interval.n_excess,
						    .client = entry->client};
		entry_remove(quota, entry);
		entry = NULL;
	}
	if (!entry) {
		entry = entry_add(quota, key);
		if (!entry) {
			return take_among_others(quota, now, ret_excess);
		}
		entry->client = *client;
		interval_begin(quota, &entry->interval, now);
	}
	return interval_take(&entry->interval, quota->limits.n_client);
}

bool quota_expire(struct quota *quota, struct mono now, struct quota_excess *ret_excess)
{
	struct entry *entry;

	while ((entry = TAILQ_FIRST(&quota->order)) && mono_reached(entry->interval.end, now)) {
		*ret_excess = (struct quota_excess){.n = entry->interval.n_excess,
						    .client = entry->client};
		entry_remove(quota, entry);
		if (ret_excess->n) {
			return true;
		}
	}
	if (quota->has_others && mono_reached(quota->others.end, now)) {
		*ret_excess = (struct quota_excess){.n = quota->others.n_excess, .is_others = true};
		quota->has_others = false;
		quota->others.n_excess = 0;
		return ret_excess->n > 0;
	}
	*ret_excess = (struct quota_excess){0};
	return false;
}
