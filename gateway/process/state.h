/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The state of the server process, as the health check, the metrics and the status report it.
 * Written by the main thread, read by any.
 */
#include <stdatomic.h>
#include <stdbool.h>

struct process_state {
	unsigned generation; /* control.h; does not change */
	/* Of a retired server: the generation that accepts connections now; -1: none. */
	atomic_int successor;
	atomic_bool is_draining;       /* no new sessions */
	atomic_uint config_generation; /* 1 for the configuration of the start */
	atomic_bool config_is_current; /* the last reload succeeded */
	atomic_ullong config_loaded;   /* when, in seconds since the epoch */
	atomic_uint n_reloads, n_reloads_failed;
};
