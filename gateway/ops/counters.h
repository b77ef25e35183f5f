/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Counts failures of each kind, over all workers, since the start of the program. Counters change
 * only when something fails, never on the path of a stanza.
 */
#include <stdatomic.h>

#include "gateway/failure.h"

struct counters {
	atomic_ullong failures[FAILURE_COUNT];
};

/* Thread-safe. */
void counters_add(struct counters *counters, enum failure_kind kind);

/* Logs one line with all counts that are not 0. */
void counters_log(struct counters *counters);
