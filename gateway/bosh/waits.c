/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/endpoint-state.h"

/* Tells the engine that its deadline has passed, but only after sockets have been read: the
 * server's reply or the client's next request may have arrived already. */
static void make_due(struct bosh_entry *entry)
{
	due_queue_add(&entry->endpoint->due, &entry->due);
}

/* After a standstill, the client's next request may have come over a connection that is not even
 * accepted: then this runs after a grace. */
static void on_timeout(struct timeout *timer)
{
	struct bosh_entry *entry = CONTAINER_OF(timer, struct bosh_entry, timer);
	struct bosh_endpoint *endpoint = entry->endpoint;
	int64_t late_ms = mono_diff_ms(bosh_endpoint_now(endpoint), entry->armed);

	if (late_ms < TIMEOUT_GRACE_MS && wire_hub_is_behind(endpoint->env->hub)) {
		/* The request may be among what was not looked at. */
		timeout_start(timer, on_timeout, 0);
		return;
	}
	entry->armed = MONO_NEVER;
	make_due(entry);
}

/* A timer that runs too early finds nothing to do and is armed anew: cheaper than to move it with
 * each request. */
static void arm_timer(struct bosh_entry *entry, struct mono deadline)
{
	if (deadline.ms < entry->armed.ms) {
		entry->armed = deadline;
		timeout_start(&entry->timer, on_timeout,
			      mono_diff_ms(deadline, bosh_endpoint_now(entry->endpoint)));
	}
}

/* Requests linger for a few milliseconds, in each round trip of a client that holds one. Timers of
 * libuv for that would be moved in its heap thousands of times a second, so one timer serves all
 * sessions with the present settings. These linger equally long, so they stand in the order in
 * which they began; for a moment after a reload those from before are among them. */

static void leave(struct bosh_entry *entry)
{
	if (!mono_is_never(entry->lingers_to)) {
		entry->lingers_to = MONO_NEVER;
		TAILQ_REMOVE(&entry->endpoint->lingering, entry, in_lingering);
	}
}

static void on_linger(uv_timer_t *timer);

static void set_timer(struct bosh_endpoint *endpoint)
{
	const struct bosh_entry *first = TAILQ_FIRST(&endpoint->lingering);

	if (first) {
		int64_t ms = mono_diff_ms(first->lingers_to, bosh_endpoint_now(endpoint));

		uv_timer_start(&endpoint->linger, on_linger, ms > 0 ? (uint64_t)ms : 0, 0);
	}
}

static void enter(struct bosh_entry *entry, struct mono until)
{
	struct bosh_endpoint *endpoint = entry->endpoint;
	struct bosh_entry *before = TAILQ_LAST(&endpoint->lingering, bosh_entries);

	while (before && before->lingers_to.ms > until.ms) {
		before = TAILQ_PREV(before, bosh_entries, in_lingering);
	}
	entry->lingers_to = until;
	if (before) {
		TAILQ_INSERT_AFTER(&endpoint->lingering, before, entry, in_lingering);
	} else {
		TAILQ_INSERT_HEAD(&endpoint->lingering, entry, in_lingering);
		set_timer(endpoint);
	}
}

void bosh_entry_arm(struct bosh_entry *entry)
{
	struct mono deadline = bosh_session_deadline(entry->engine);
	struct mono linger_end = bosh_session_linger_end(entry->engine);
	bool lingers = !mono_is_never(linger_end) && deadline.ms == linger_end.ms;

	if (!lingers || entry->settings != entry->endpoint->settings) {
		arm_timer(entry, deadline);
	} else if (mono_is_never(entry->lingers_to)) {
		enter(entry, linger_end);
	}
}

static void on_linger(uv_timer_t *timer)
{
	struct bosh_endpoint *endpoint = CONTAINER_OF(timer, struct bosh_endpoint, linger);
	struct mono now = bosh_endpoint_now(endpoint);
	struct bosh_entry *entry;

	while ((entry = TAILQ_FIRST(&endpoint->lingering)) &&
	       mono_reached(entry->lingers_to, now)) {
		struct mono end = entry->lingers_to;

		leave(entry);
		if (!mono_reached(bosh_session_linger_end(entry->engine), now)) {
			/* It was answered meanwhile; perhaps another one lingers by now. */
			bosh_entry_arm(entry);
		} else if (timeout_stood_still(mono_diff_ms(now, end))) {
			arm_timer(entry, end);
		} else {
			make_due(entry);
		}
	}
	set_timer(endpoint);
}

void bosh_waits_init(struct bosh_endpoint *endpoint, void (*on_due)(struct due_item *item))
{
	due_queue_init(&endpoint->due, endpoint->env->loop, DUE_US, on_due);
	TAILQ_INIT(&endpoint->lingering);
	uv_timer_init(endpoint->env->loop, &endpoint->linger);
}

void bosh_waits_close(struct bosh_endpoint *endpoint)
{
	due_queue_close(&endpoint->due);
	uv_close((uv_handle_t *)&endpoint->linger, NULL);
}

void bosh_entry_disarm(struct bosh_entry *entry)
{
	due_queue_remove(&entry->endpoint->due, &entry->due);
	leave(entry);
}
