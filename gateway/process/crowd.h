/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Tells when many clients have left, so that the memory that they needed can go back to the system.
 * The C library keeps what is freed: without being told, a gateway stays as large as its busiest
 * hour made it.
 *
 * clients  connections and sessions; the caller counts them
 * most     the most clients at once since it was asked the last time: a crowd may be gone before
 *          anybody looks
 * peak     the most clients since memory was given back the last time
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/mono.h"

enum {
	/* Fewer are not worth the work: they hold two megabytes at most. */
	CROWD_LEAST = 256,
	/* Giving back holds the allocations of all workers up for some milliseconds; a crowd that
	 * comes and goes must not repeat that all the time. */
	CROWD_PAUSE_S = 10,
};

struct crowd {
	size_t peak;
	struct mono due;    /* when memory may be given back again */
	bool has_just_left; /* once more at `due` */
};

/* To be called about once a second, with the most clients and how many there are now. Returns true
 * when the caller should give memory back: when half of the clients at the peak have left, and at
 * least CROWD_LEAST. It does so at most once in CROWD_PAUSE_S, and a second time after that pause,
 * because more clients may have left meanwhile, and the workers may not have freed everything the
 * first time. */
bool crowd_has_left(struct crowd *crowd, size_t n_most, size_t n_clients, struct mono now);
