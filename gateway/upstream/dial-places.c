/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dial-places.h"

#include <errno.h>
#include <stdlib.h>

#include "common/table.h"

struct dial_crowd {
	UT_hash_handle hh;
	uint32_t number;
	unsigned n_taken;
	TAILQ_HEAD(, dial_place) waiting;
};

/* A crowd's number is a hash with a secret already (attempt_dns_crowd()): nobody can choose it.
 * Returns the crowd, made when there is none; NULL without memory. */
static struct dial_crowd *crowd_get(struct dial_places *places, uint32_t number)
{
	struct dial_crowd *crowd;

	HASH_FIND_BYHASHVALUE(hh, places->crowds, &number, sizeof(number), number, crowd);
	if (crowd) {
		return crowd;
	}
	crowd = calloc(1, sizeof(*crowd));
	if (!crowd) {
		return NULL;
	}
	crowd->number = number;
	TAILQ_INIT(&crowd->waiting);
	HASH_ADD_BYHASHVALUE(hh, places->crowds, number, sizeof(number), number, crowd);
	if (!crowd->hh.tbl) {
		free(crowd);
		return NULL;
	}
	return crowd;
}

int dial_places_take(struct dial_places *places, struct dial_place *place, uint32_t crowd)
{
	place->crowd = crowd_get(places, crowd);
	if (!place->crowd) {
		return -ENOMEM;
	}
	place->is_waiting = place->crowd->n_taken == DIAL_PLACES_MAX;
	if (place->is_waiting) {
		TAILQ_INSERT_TAIL(&place->crowd->waiting, place, in_waiting);
	} else {
		place->crowd->n_taken++;
	}
	return 0;
}

void dial_places_leave(struct dial_places *places, struct dial_place *place)
{
	struct dial_crowd *crowd = place->crowd;

	if (!crowd) {
		return;
	}
	place->crowd = NULL;
	if (place->is_waiting) {
		/* Others have all places: the crowd stays. */
		place->is_waiting = false;
		TAILQ_REMOVE(&crowd->waiting, place, in_waiting);
		return;
	}
	struct dial_place *next = TAILQ_FIRST(&crowd->waiting);

	if (next) {
		TAILQ_REMOVE(&crowd->waiting, next, in_waiting);
		next->is_waiting = false;
		next->granted(next);
		return;
	}
	if (--crowd->n_taken == 0) {
		HASH_DELETE(hh, places->crowds, crowd);
		free(crowd);
	}
}
