/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Measures whether a worker's loop keeps up: a timer runs every PULSE_MS and notes in the worker's
 * cell how late it is, that it ran, and the CPU time of the thread. A loop that hangs stops
 * beating, and /healthz reports it.
 */
#include <uv.h>

#include "gateway/ops/metrics.h"

enum {
	PULSE_MS = 500,
};

struct pulse {
	uv_timer_t timer;
	struct metrics_cell *cell;
	uint64_t due_ns; /* when the timer should run */
};

/* Starts the timer. @cell is borrowed. Cannot fail. */
void pulse_init(struct pulse *pulse, uv_loop_t *loop, struct metrics_cell *cell);

/* Closes the timer, and notes that the loop will beat no more. */
void pulse_close(struct pulse *pulse);
