/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bounds the bytes that the gateway holds for clients, in total and for each client. There are two
 * budgets:
 *
 * - for clients that have not logged in: request bodies that are still arriving, unfinished
 *   messages, what a session keeps before its login;
 * - for clients that have logged in at a server that the operator does not name: it may be the
 *   attacker's own ("foreign" in gateway/admission.h).
 *
 * Without a bound, one client could fill the memory with hundreds of connections, each of which
 * sends all but its last byte; and however small the share of one client is, many clients could.
 * When a bound is exceeded, a charge has to go. Which one, is the order of the budget:
 *
 * oldest   the oldest charge, of that client or of all. Before the login, a client that wants to be
 *          served sends the rest within moments, so the oldest charge is usually a slow sender's
 * largest  the largest charge of that client, or of the client that holds most. After the login a
 *          session lasts for hours, and its age says nothing. A client that holds little in all
 *          is never affected as long as another client holds more
 *
 * The others go on.
 *
 * charge  what one object holds. It is a member of the object and is released with it
 * step    charges count in whole steps, and the first step is free: ordinary requests and stanzas
 *         never come here
 * client  as in client.h: an IPv4 address, or the /64 of an IPv6 address
 * owner   the worker in whose thread a charge is held, released and evicted
 * victim  a charge that has to go. It no longer counts, and its owner is woken to evict it
 *
 * Thread-safe. The mutex is taken when a charge grows or shrinks by a step.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/address.h"
#include "common/macro.h"

enum {
	BUDGET_STEP = 4096,
	/* Victims of a change, unless it needs more room. A reload may lower the limits below what
	 * 30,000 clients hold. To look for all of these at once would take a second, in which every
	 * worker waits, and to evict them would take their owners as long. */
	BUDGET_VICTIMS_MAX = 16,
};

struct budget;
struct budget_client;

enum budget_order {
	BUDGET_OLDEST,
	BUDGET_LARGEST,
};

struct budget_limits {
	size_t n_client; /* for one client, so that it cannot evict all others */
	size_t n_total;  /* for all: memory */
	enum budget_order order;
};

/* Private to budget.c, apart from the initializer and `is_for_all`. */
struct budget_charge {
	TAILQ_ENTRY(budget_charge) in_all; /* or in the victims of its owner */
	TAILQ_ENTRY(budget_charge) in_client;
	struct budget_client *client;
	unsigned owner;
	size_t n_bytes; /* whole steps; 0: in no list */
	bool is_victim;
	/* For `evict`: it became a victim because of the limit for all, not because of the limit
	 * for its client. */
	bool is_for_all;
	void (*evict)(struct budget_charge *charge);
};

/* A charge of the worker @owner_ that holds nothing yet. budget_evict() calls @evict_ to end the
 * object that holds it. */
#define BUDGET_CHARGE_INIT(owner_, evict_) \
	((struct budget_charge){.owner = (owner_), .evict = (evict_)})

/* For the owners 0 to @n_owners - 1. Returns 0 or a negative errno. */
_must_check_ int budget_new(const struct budget_limits *limits, unsigned n_owners,
			    struct budget **ret_budget);

/* After all charges have been released. Takes NULL. */
struct budget *budget_free(struct budget *budget);

/* Replaces the limits. Charges that exceed the new ones become victims little by little, with each
 * change of any charge. Thread-safe. */
void budget_set_limits(struct budget *budget, const struct budget_limits *limits);

/* Sets how @owner learns that it has victims; @wake may be NULL. It is called from any thread with
 * the budget locked, so it must not call back. */
void budget_set_wake(struct budget *budget, unsigned owner, void (*wake)(void *userdata),
		     void *userdata);

/* Says that @charge, whose object belongs to @client, holds @n bytes now. That may make it and
 * others victims. Returns 0 or -ENOMEM; then it holds what it held before. */
_must_check_ int budget_hold(struct budget *budget, struct budget_charge *charge,
			     const struct address *client, size_t n);

/* Says that @charge holds nothing any more. A victim that has not been evicted yet is spared. May
 * run twice. */
void budget_release(struct budget *budget, struct budget_charge *charge);

/* Releases and evicts the victims of @owner, in its thread. */
void budget_evict(struct budget *budget, unsigned owner);

/* The bytes that count now, and the number of clients that they belong to. */
size_t budget_bytes(struct budget *budget);
size_t budget_clients(struct budget *budget);
