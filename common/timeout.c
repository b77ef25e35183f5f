/* SPDX-License-Identifier: MIT */
#include "common/timeout.h"

#include "common/macro.h"

enum {
	NS_PER_MS = 1000 * 1000,
};

/* By the loop's last look at the clock. */
static int64_t now_of(const struct timeout *timeout)
{
	return (int64_t)uv_now(timeout->uv.loop);
}

/* The thread may have been stopped since the loop looked at the clock: the time that it gives to
 * others begins now. The loop's own time stays, for which timers that ran in this pass wait. */
static int64_t clock_of(const struct timeout *timeout)
{
	int64_t seen = now_of(timeout), clock = (int64_t)(uv_hrtime() / NS_PER_MS);

	return clock > seen ? clock : seen;
}

void timeout_init(struct timeout *timeout, uv_loop_t *loop)
{
	*timeout = (struct timeout){0};
	uv_timer_init(loop, &timeout->uv);
}

static void on_timer(uv_timer_t *timer);

static void set(struct timeout *timeout, int64_t due_ms)
{
	int64_t ms = due_ms - now_of(timeout);

	timeout->due_ms = due_ms;
	timeout->is_set = true;
	timeout->is_late = false;
	uv_timer_start(&timeout->uv, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

static void begin_grace(struct timeout *timeout, int64_t now)
{
	timeout->n_graces++;
	set(timeout, now + TIMEOUT_GRACE_MS);
}

static void on_timer(uv_timer_t *timer)
{
	struct timeout *timeout = CONTAINER_OF(timer, struct timeout, uv);
	int64_t now = now_of(timeout);

	if (!timeout->is_exact && timeout->n_graces < TIMEOUT_GRACES_MAX &&
	    timeout_stood_still(now - timeout->due_ms)) {
		begin_grace(timeout, now);
	} else if (!timeout->is_exact && !timeout->is_late) {
		timeout->is_late = true;
		/* One of 0 would run in the same pass. */
		uv_timer_start(timer, on_timer, 1, 0);
	} else {
		/* The count of graces starts again for the next time-out. A plan keeps it. */
		timeout->n_graces = timeout->is_exact ? timeout->n_graces : 0;
		timeout->is_set = false;
		timeout->callback(timeout);
	}
}

/* Whether the time is over, and the callback has not run yet. */
static bool is_over(const struct timeout *timeout)
{
	return timeout->is_set && !timeout->is_exact && timeout->due_ms <= now_of(timeout);
}

void timeout_start(struct timeout *timeout, void (*callback)(struct timeout *timeout), int64_t ms)
{
	int64_t now = clock_of(timeout);

	timeout->callback = callback;
	if (ms <= 0 && is_over(timeout)) {
		/* Otherwise what happens in each iteration could put it off for ever: what is set
		 * in a pass of the timers waits for the next one (libuv 1.50). */
		return;
	}
	timeout->is_exact = false;
	/* A time-out that is set again within its grace gets no second one. Otherwise an owner that
	 * sets or stops it in each grace could put it off for ever. */
	if (timeout->n_graces && now + ms < timeout->due_ms) {
		set(timeout, timeout->due_ms);
		return;
	}
	timeout->n_graces = 0;
	if (timeout_stood_still(-ms)) {
		begin_grace(timeout, now);
	} else {
		set(timeout, now + ms);
	}
}

void timeout_plan(struct timeout *timeout, void (*callback)(struct timeout *timeout), uint64_t ms)
{
	timeout->callback = callback;
	timeout->is_set = true;
	timeout->is_exact = true;
	timeout->is_late = false;
	/* A grace goes on meanwhile: the time-out may be set again. */
	uv_timer_start(&timeout->uv, on_timer, ms, 0);
}

void timeout_stop(struct timeout *timeout)
{
	timeout->is_set = false;
	uv_timer_stop(&timeout->uv);
}
