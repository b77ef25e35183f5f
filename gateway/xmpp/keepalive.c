/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/keepalive.h"

#include "common/clock.h"
#include "common/macro.h"

static void on_timer(uv_timer_t *timer)
{
	struct keepalive *keepalive = CONTAINER_OF(timer, struct keepalive, timer);

	if (keepalive_look(keepalive, clock_of_loop(keepalive->timer.loop))) {
		uv_timer_start(timer, on_timer, 1, KEEPALIVE_TICK_MS);
	}
}

void keepalive_init(struct keepalive *keepalive, uv_loop_t *loop, unsigned interval_s,
		    void (*send)(struct keepalive_member *member))
{
	TAILQ_INIT(&keepalive->members);
	uv_timer_init(loop, &keepalive->timer);
	keepalive->interval_ms = (int64_t)interval_s * 1000;
	keepalive->send = send;
}

void keepalive_close(struct keepalive *keepalive)
{
	uv_close((uv_handle_t *)&keepalive->timer, NULL);
}

void keepalive_set_interval(struct keepalive *keepalive, unsigned interval_s)
{
	keepalive->interval_ms = (int64_t)interval_s * 1000;
}

void keepalive_enter(struct keepalive *keepalive, struct keepalive_member *member)
{
	if (keepalive->interval_ms == 0 || member->is_entered) {
		return;
	}
	member->is_entered = true;
	member->looked_at = clock_of_loop(keepalive->timer.loop);
	TAILQ_INSERT_TAIL(&keepalive->members, member, in_members);
	if (!uv_is_active((uv_handle_t *)&keepalive->timer)) {
		uv_timer_start(&keepalive->timer, on_timer, KEEPALIVE_TICK_MS, KEEPALIVE_TICK_MS);
	}
}

void keepalive_leave(struct keepalive *keepalive, struct keepalive_member *member)
{
	if (!member->is_entered) {
		return;
	}
	member->is_entered = false;
	TAILQ_REMOVE(&keepalive->members, member, in_members);
	if (TAILQ_EMPTY(&keepalive->members)) {
		uv_timer_stop(&keepalive->timer);
	}
}

static bool is_due(const struct keepalive *keepalive, const struct keepalive_member *member,
		   struct mono now)
{
	return keepalive->interval_ms &&
	       mono_reached(mono_add_ms(member->looked_at, keepalive->interval_ms / 2), now);
}

bool keepalive_look(struct keepalive *keepalive, struct mono now)
{
	struct keepalive_member *member;

	for (int i = 0;
	     (member = TAILQ_FIRST(&keepalive->members)) && is_due(keepalive, member, now); i++) {
		if (i == KEEPALIVE_TURN_MAX) {
			return true;
		}
		bool has_written = member->has_written;

		TAILQ_REMOVE(&keepalive->members, member, in_members);
		TAILQ_INSERT_TAIL(&keepalive->members, member, in_members);
		member->looked_at = now;
		/* The space counts as a write: the next one follows after a whole interval, not
		 * half of one. */
		member->has_written = !has_written;
		if (!has_written) {
			keepalive->send(member);
		}
	}
	return false;
}
