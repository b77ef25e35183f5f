/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bounds how many servers are sought for one client at the same time. Each search (dialer.h) may
 * connect to many addresses at once, none of which answers: without a bound, the sessions of one
 * client address took 5,000 descriptors until `connect_timeout`.
 *
 * crowd  the client, as for resolver.h: the sessions of one client address share it
 * place  what a search needs before it connects to anything. It waits for one while its crowd has
 *        DIAL_PLACES_MAX; those that wait get one in the order in which they came
 *
 * Of one worker.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/macro.h"

enum {
	/* An office of 200 that comes back at once waits for a few round trips to its servers. */
	DIAL_PLACES_MAX = 32,
};

struct dial_crowd;

/* Begins zeroed. */
struct dial_places {
	struct dial_crowd *crowds; /* uthash by number */
};

/* A member of the search. Begins zeroed; private to dial-places.c apart from `granted`. */
struct dial_place {
	TAILQ_ENTRY(dial_place) in_waiting;
	struct dial_crowd *crowd; /* NULL: it neither has a place nor waits for one */
	bool is_waiting;
	/* The search has got a place. Must not call back. */
	void (*granted)(struct dial_place *place);
};

/* Takes a place, or waits for one: place->is_waiting says which. Returns 0 or -ENOMEM. */
_must_check_ int dial_places_take(struct dial_places *places, struct dial_place *place,
				  uint32_t crowd);

/* Gives the place back, or stops waiting. May run twice. */
void dial_places_leave(struct dial_places *places, struct dial_place *place);
