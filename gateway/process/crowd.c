/* SPDX-License-Identifier: MIT */
#include "gateway/process/crowd.h"

bool crowd_has_left(struct crowd *crowd, size_t n_most, size_t n_clients, struct mono now)
{
	/* The two were counted one after the other: some may have come in between. */
	n_most = n_clients > n_most ? n_clients : n_most;
	crowd->peak = n_most > crowd->peak ? n_most : crowd->peak;
	size_t n_left = crowd->peak - n_clients;
	bool is_crowd = n_left >= CROWD_LEAST && n_left >= n_clients;

	if (!mono_reached(crowd->due, now)) {
		return false;
	}
	if (!is_crowd && !crowd->has_just_left) {
		return false;
	}
	crowd->has_just_left = is_crowd;
	crowd->peak = n_clients;
	crowd->due = mono_add_s(now, CROWD_PAUSE_S);
	return true;
}
