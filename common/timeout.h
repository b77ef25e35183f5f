/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A timer for what has to arrive in time. A time-out means that it has not arrived, and libuv's
 * timers do not know that: libuv runs them before it polls. After a thread was busy for a while, or
 * was stopped, what it waits for is often in a socket and was not read yet.
 *
 * So when the time is over, the loop polls once more before the callback runs. When the timer is
 * late by more than TIMEOUT_STILL_MS, the thread stood still, for instance because the machine was
 * paused. Then what has arrived may be only the first step of several, or be on its way over a
 * connection that is not accepted yet, so TIMEOUT_GRACE_MS follow first: a grace. When the thread
 * stands still in a grace, another one follows, up to TIMEOUT_GRACES_MAX in all.
 *
 * time-out  runs as said above
 * plan      the same timer for something else: to do it later, exactly then
 *
 * The callback of a time-out has to be a consequence of time only. An owner that compares its
 * deadline with the clock when something arrives would have no grace.
 *
 * Where many of one kind may be due at the same time, the callback adds an item to a queue that
 * bounds what is done in one iteration (common/due.h).
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum {
	/* A loop that runs is not late by that much: what can take long is done in turns. */
	TIMEOUT_STILL_MS = 1000,
	/* Some round trips to a client or to a server. */
	TIMEOUT_GRACE_MS = 1000,
	/* One after the other. A loop that clients keep so busy that it is always late would
	 * otherwise never time out, and they could keep what they hold. */
	TIMEOUT_GRACES_MAX = 3,
};

struct timeout {
	uv_timer_t uv; /* for uv_close(); its `data` is the owner's */
	void (*callback)(struct timeout *timeout);
	int64_t due_ms;    /* of the time-out, by uv_now(); a plan leaves it */
	bool is_set;       /* the callback is to run */
	bool is_exact;     /* a plan */
	bool is_late;      /* the time is over; the loop polls once more */
	unsigned n_graces; /* one after the other so far; due_ms is the end of the last */
};

/* Cannot fail. To be closed as every handle: uv_close() with `uv`. */
void timeout_init(struct timeout *timeout, uv_loop_t *loop);

/* Calls @callback after @ms, counted from now, not from the loop's last look at the clock. Less
 * than 0: the deadline has passed so long ago. Replaces what was set before; but as long as a grace
 * is under way, @callback does not run before its end, and time that is over stays over. */
void timeout_start(struct timeout *timeout, void (*callback)(struct timeout *timeout), int64_t ms);

/* Calls @callback after @ms without waiting for a poll. Replaces what was set before. A callback
 * that plans its own timer with 0 may be called again at once, before the loop polls. */
void timeout_plan(struct timeout *timeout, void (*callback)(struct timeout *timeout), uint64_t ms);

void timeout_stop(struct timeout *timeout);

/* Whether the callback is to run. (uv_is_active() does not tell: while libuv runs the timers that
 * are due, those that follow are not active.) */
static inline bool timeout_is_set(const struct timeout *timeout)
{
	return timeout->is_set;
}

/* Whether a deadline that passed @late_ms ago did so while the thread stood still. */
static inline bool timeout_stood_still(int64_t late_ms)
{
	return late_ms > TIMEOUT_STILL_MS;
}
