/* SPDX-License-Identifier: MIT */
#include "common/timeout.h"

#include "common/macro.h"

static int64_t now_of(const struct timeout *timeout)
{
	return (int64_t)uv_now(timeout->uv.loop);
}

void timeout_init(struct timeout *timeout, uv_loop_t *loop)
{
	*timeout = (struct timeout){0};
	uv_timer_init(loop, &timeout->uv);
}

static void on_timer(uv_timer_t *timer);

static void begin_grace(struct timeout *timeout, int64_t now)
{
	timeout->due_ms = now + TIMEOUT_GRACE_MS;
	timeout->is_grace = true;
	timeout->is_late = false;
	uv_timer_start(&timeout->uv, on_timer, TIMEOUT_GRACE_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct timeout *timeout = CONTAINER_OF(timer, struct timeout, uv);
	int64_t now = now_of(timeout);

	if (!timeout->is_exact && timeout_stood_still(now - timeout->due_ms)) {
		begin_grace(timeout, now);
	} else if (!timeout->is_exact && !timeout->is_late) {
		timeout->is_late = true;
		/* One of 0 would run in the same pass. */
		uv_timer_start(timer, on_timer, 1, 0);
	} else {
		timeout->callback(timeout);
	}
}

static void set(struct timeout *timeout, int64_t due_ms, int64_t now)
{
	timeout->due_ms = due_ms;
	timeout->is_late = false;
	uv_timer_start(&timeout->uv, on_timer, due_ms > now ? (uint64_t)(due_ms - now) : 0, 0);
}

void timeout_start(struct timeout *timeout, void (*callback)(struct timeout *timeout), int64_t ms)
{
	int64_t now = now_of(timeout);
	bool is_active = uv_is_active((uv_handle_t *)&timeout->uv);

	timeout->callback = callback;
	if (ms <= 0 && timeout->is_late && is_active) {
		/* Otherwise what arrives in each iteration could put it off for ever. */
		return;
	}
	timeout->is_exact = false;
	/* Active at its end: that came in a poll, and no other grace begins. */
	if (timeout->is_grace && (is_active || now < timeout->due_ms) &&
	    now + ms < timeout->due_ms) {
		set(timeout, timeout->due_ms, now);
	} else if (timeout_stood_still(-ms)) {
		begin_grace(timeout, now);
	} else {
		timeout->is_grace = false;
		set(timeout, now + ms, now);
	}
}

void timeout_plan(struct timeout *timeout, void (*callback)(struct timeout *timeout), uint64_t ms)
{
	int64_t now = now_of(timeout);

	timeout->callback = callback;
	timeout->is_exact = true;
	timeout->is_grace = false;
	set(timeout, now + (int64_t)ms, now);
}

void timeout_stop(struct timeout *timeout)
{
	uv_timer_stop(&timeout->uv);
}
