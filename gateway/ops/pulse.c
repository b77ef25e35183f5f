/* SPDX-License-Identifier: MIT */
#include "gateway/ops/pulse.h"

#include <sys/resource.h>

#include "common/macro.h"

static void write_number(_Atomic int64_t *number, int64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

static int64_t us_of(const struct timeval *time)
{
	return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

static void arm(struct pulse *pulse, uint64_t now_ns);

static void on_timer(uv_timer_t *timer)
{
	struct pulse *pulse = CONTAINER_OF(timer, struct pulse, timer);
	uint64_t now_ns = uv_hrtime();
	int64_t lag_us = now_ns > pulse->due_ns ? (int64_t)((now_ns - pulse->due_ns) / 1000) : 0;
	struct rusage usage;

	write_number(&pulse->cell->beat_ms, (int64_t)(now_ns / 1000000));
	write_number(&pulse->cell->lag_us, lag_us);
	metrics_observe(pulse->cell, METRIC_HISTOGRAM_LAG, lag_us);
	if (getrusage(RUSAGE_THREAD, &usage) == 0) {
		write_number(&pulse->cell->cpu_us, us_of(&usage.ru_utime) + us_of(&usage.ru_stime));
	}
	arm(pulse, now_ns);
}

static void arm(struct pulse *pulse, uint64_t now_ns)
{
	/* The loop's clock has milliseconds and stands still during a turn, so the timer is set
	 * from the time that it shows. */
	uint64_t loop_ms = uv_now(pulse->timer.loop);
	uint64_t now_ms = now_ns / 1000000;
	uint64_t behind_ms = now_ms > loop_ms ? now_ms - loop_ms : 0;

	pulse->due_ns = now_ns + PULSE_MS * 1000000ULL;
	uv_timer_start(&pulse->timer, on_timer, PULSE_MS + behind_ms, 0);
}

void pulse_init(struct pulse *pulse, uv_loop_t *loop, struct metrics_cell *cell)
{
	pulse->cell = cell;
	uv_timer_init(loop, &pulse->timer);
	/* The loop may start later than now: its first beat is late by that much otherwise. */
	pulse->due_ns = UINT64_MAX;
	uv_timer_start(&pulse->timer, on_timer, 0, 0);
}

void pulse_close(struct pulse *pulse)
{
	write_number(&pulse->cell->beat_ms, 0);
	uv_close((uv_handle_t *)&pulse->timer, NULL);
}
