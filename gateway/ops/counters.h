/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How often each failure has been: for all workers, from the program's start on. Touched when something fails and never on the way of
 * a stanza.
 */
#include <stdatomic.h>

#include "gateway/failure.h"

struct counters {
	atomic_ullong failures[FAILURE_COUNT];
};

/* From any thread. */
void counters_add(struct counters *counters, enum failure_kind kind);

/* One line of the log, with the failures that there have been. */
void counters_log(struct counters *counters);
