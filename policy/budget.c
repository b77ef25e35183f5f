/* SPDX-License-Identifier: MIT */
#include "policy/budget.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>

#include "policy/client.h"

TAILQ_HEAD(budget_charges, budget_charge);

struct budget_client {
	LIST_ENTRY(budget_client) in_all;
	uint64_t key;
	size_t n_bytes;
	struct budget_charges charges; /* oldest first */
};

struct budget_owner {
	struct budget_charges victims;
	void (*wake)(void *userdata);
	void *userdata;
};

struct budget {
	pthread_mutex_t mutex;
	struct budget_limits limits;
	size_t n_bytes;
	size_t n_clients;
	void *clients; /* of tsearch(3): budget_client. No client can make a path in it long */
	LIST_HEAD(, budget_client) all_clients; /* the same */
	struct budget_charges charges;          /* oldest first */
	unsigned n_owners;
	struct budget_owner owners[];
};

int budget_new(const struct budget_limits *limits, unsigned n_owners, struct budget **ret_budget)
{
	struct budget *budget = calloc(1, sizeof(*budget) + n_owners * sizeof(*budget->owners));

	if (!budget) {
		return -ENOMEM;
	}
	budget->limits = *limits;
	budget->n_owners = n_owners;
	LIST_INIT(&budget->all_clients);
	TAILQ_INIT(&budget->charges);
	for (unsigned i = 0; i < n_owners; i++) {
		TAILQ_INIT(&budget->owners[i].victims);
	}
	int r = -pthread_mutex_init(&budget->mutex, NULL);

	if (r < 0) {
		free(budget);
		return r;
	}
	*ret_budget = budget;
	return 0;
}

struct budget *budget_free(struct budget *budget)
{
	if (!budget) {
		return NULL;
	}
	tdestroy(budget->clients, free);
	pthread_mutex_destroy(&budget->mutex);
	free(budget);
	return NULL;
}

void budget_set_limits(struct budget *budget, const struct budget_limits *limits)
{
	pthread_mutex_lock(&budget->mutex);
	budget->limits = *limits;
	pthread_mutex_unlock(&budget->mutex);
}

void budget_set_wake(struct budget *budget, unsigned owner, void (*wake)(void *userdata),
		     void *userdata)
{
	pthread_mutex_lock(&budget->mutex);
	budget->owners[owner].wake = wake;
	budget->owners[owner].userdata = userdata;
	pthread_mutex_unlock(&budget->mutex);
}

/* Clients. */

static int client_compare(const void *a, const void *b)
{
	uint64_t key_a = ((const struct budget_client *)a)->key;
	uint64_t key_b = ((const struct budget_client *)b)->key;

	return key_a < key_b ? -1 : key_a > key_b;
}

/* Returns the client of that address, made when there is none; NULL without memory. */
static struct budget_client *client_get(struct budget *budget, const struct address *address)
{
	struct budget_client key = {.key = client_key(address)};
	struct budget_client *const *node = tfind(&key, &budget->clients, client_compare);

	if (node) {
		return *node;
	}
	struct budget_client *client = malloc(sizeof(*client));

	if (!client) {
		return NULL;
	}
	*client = key;
	TAILQ_INIT(&client->charges);
	if (!tsearch(client, &budget->clients, client_compare)) {
		free(client);
		return NULL;
	}
	LIST_INSERT_HEAD(&budget->all_clients, client, in_all);
	budget->n_clients++;
	return client;
}

/* Frees a client without charges. Otherwise every address that ever came would stay in memory. */
static void client_settle(struct budget *budget, struct budget_client *client)
{
	if (TAILQ_EMPTY(&client->charges)) {
		tdelete(client, &budget->clients, client_compare);
		LIST_REMOVE(client, in_all);
		budget->n_clients--;
		free(client);
	}
}

/* Charges. All with the budget locked. */

/* Takes a charge that counts out of all counts and lists. */
static void uncount(struct budget *budget, struct budget_charge *charge)
{
	struct budget_client *client = charge->client;

	budget->n_bytes -= charge->n_bytes;
	client->n_bytes -= charge->n_bytes;
	TAILQ_REMOVE(&budget->charges, charge, in_all);
	TAILQ_REMOVE(&client->charges, charge, in_client);
	charge->client = NULL;
	client_settle(budget, client);
}

static void make_victim(struct budget *budget, struct budget_charge *charge)
{
	struct budget_owner *owner = &budget->owners[charge->owner];

	charge->is_for_all = charge->client->n_bytes <= budget->limits.n_client;
	uncount(budget, charge);
	charge->is_victim = true;
	TAILQ_INSERT_TAIL(&owner->victims, charge, in_all);
	if (owner->wake) {
		owner->wake(owner->userdata);
	}
}

/* The charge of @client that has to go. Looking for the largest takes a step for each charge, of
 * which there are as many as sessions_per_address allows, and each step is paid for by the 4 KB
 * that somebody had to send. */
static struct budget_charge *choose(const struct budget *budget, const struct budget_client *client)
{
	struct budget_charge *chosen = TAILQ_FIRST(&client->charges), *charge;

	if (budget->limits.order == BUDGET_OLDEST) {
		return chosen;
	}
	TAILQ_FOREACH(charge, &client->charges, in_client) {
		chosen = charge->n_bytes > chosen->n_bytes ? charge : chosen;
	}
	return chosen;
}

/* The charge that has to go, of all. */
static struct budget_charge *choose_of_all(const struct budget *budget)
{
	const struct budget_client *most = LIST_FIRST(&budget->all_clients), *client;

	if (budget->limits.order == BUDGET_OLDEST) {
		return TAILQ_FIRST(&budget->charges);
	}
	LIST_FOREACH(client, &budget->all_clients, in_all) {
		most = client->n_bytes > most->n_bytes ? client : most;
	}
	return choose(budget, most);
}

/* A charge that has to go for @charge, or for all; NULL: the limits are kept. It may be @charge
 * itself. What its client has then is within the limit. */
static struct budget_charge *find_surplus(const struct budget *budget,
					  const struct budget_charge *charge)
{
	const struct budget_client *client = charge->client;

	if (client && client->n_bytes > budget->limits.n_client) {
		return choose(budget, client);
	}
	return budget->n_bytes > budget->limits.n_total ? choose_of_all(budget) : NULL;
}

/* After @charge has grown by @n_grown bytes, or shrunk. More than that has to go only if the limits
 * have been lowered. */
static void keep_limits(struct budget *budget, const struct budget_charge *charge, size_t n_grown)
{
	struct budget_charge *victim;
	size_t n_victims = 0, n_freed = 0;

	while ((n_victims < BUDGET_VICTIMS_MAX || n_freed < n_grown) &&
	       (victim = find_surplus(budget, charge))) {
		n_victims++;
		n_freed += victim->n_bytes;
		make_victim(budget, victim);
	}
}

static int begin(struct budget *budget, struct budget_charge *charge, const struct address *address)
{
	struct budget_client *client = client_get(budget, address);

	if (!client) {
		return -ENOMEM;
	}
	charge->client = client;
	TAILQ_INSERT_TAIL(&budget->charges, charge, in_all);
	TAILQ_INSERT_TAIL(&client->charges, charge, in_client);
	return 0;
}

static void resize(struct budget *budget, struct budget_charge *charge, size_t n_bytes)
{
	size_t n_before = charge->n_bytes;

	charge->n_bytes = n_bytes;
	if (!charge->is_victim) {
		budget->n_bytes = budget->n_bytes - n_before + n_bytes;
		charge->client->n_bytes = charge->client->n_bytes - n_before + n_bytes;
		keep_limits(budget, charge, n_bytes > n_before ? n_bytes - n_before : 0);
	}
}

static size_t whole_steps(size_t n)
{
	return n <= BUDGET_STEP ? 0 : (n + BUDGET_STEP - 1) / BUDGET_STEP * BUDGET_STEP;
}

int budget_hold(struct budget *budget, struct budget_charge *charge, const struct address *client,
		size_t n)
{
	size_t n_bytes = whole_steps(n);

	/* Only the owner changes it, and so needs no lock to read it. */
	if (n_bytes == charge->n_bytes) {
		return 0;
	}
	if (n_bytes == 0) {
		budget_release(budget, charge);
		return 0;
	}
	pthread_mutex_lock(&budget->mutex);
	int r = charge->n_bytes == 0 ? begin(budget, charge, client) : 0;

	if (r == 0) {
		resize(budget, charge, n_bytes);
	}
	pthread_mutex_unlock(&budget->mutex);
	return r;
}

void budget_release(struct budget *budget, struct budget_charge *charge)
{
	if (charge->n_bytes == 0) {
		return;
	}
	pthread_mutex_lock(&budget->mutex);
	if (charge->is_victim) {
		TAILQ_REMOVE(&budget->owners[charge->owner].victims, charge, in_all);
		charge->is_victim = false;
	} else {
		uncount(budget, charge);
	}
	charge->n_bytes = 0;
	pthread_mutex_unlock(&budget->mutex);
}

void budget_evict(struct budget *budget, unsigned owner)
{
	struct budget_charges *victims = &budget->owners[owner].victims;

	for (;;) {
		pthread_mutex_lock(&budget->mutex);
		struct budget_charge *charge = TAILQ_FIRST(victims);

		pthread_mutex_unlock(&budget->mutex);
		if (!charge) {
			return;
		}
		/* Nobody else releases it meanwhile: that is done in this thread only. */
		budget_release(budget, charge);
		charge->evict(charge);
	}
}

size_t budget_bytes(struct budget *budget)
{
	pthread_mutex_lock(&budget->mutex);
	size_t n = budget->n_bytes;

	pthread_mutex_unlock(&budget->mutex);
	return n;
}

size_t budget_clients(struct budget *budget)
{
	pthread_mutex_lock(&budget->mutex);
	size_t n = budget->n_clients;

	pthread_mutex_unlock(&budget->mutex);
	return n;
}
