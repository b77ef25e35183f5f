/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "gateway/wire/state.h"

void wire_deadline_forget(struct wire *wire)
{
	if (wire->looked_at) {
		LIST_REMOVE(wire, in_slot);
		wire->looked_at = 0;
	}
}

uint32_t wire_deadline_left(const struct wire *wire)
{
	uint32_t next = wire->hub->tick + 1;

	if (!wire->deadline) {
		return wire->is_late;
	}
	return wire->deadline > next ? wire->deadline - next : 1;
}

static void enter_slot(struct wire *wire, uint32_t tick)
{
	struct wire_hub *hub = wire->hub;
	/* The slot of the present tick has been gone through. */
	uint32_t last = hub->tick + WIRE_SLOTS - 1;

	wire_deadline_forget(wire);
	wire->looked_at = tick < last ? tick : last;
	LIST_INSERT_HEAD(&hub->slots[wire->looked_at % WIRE_SLOTS], wire, in_slot);
}

void wire_set_deadline(struct wire *wire, unsigned seconds)
{
	assert(seconds <= WIRE_DEADLINE_MAX);
	wire->is_late = false;
	wire->deadline = seconds ? wire->hub->tick + seconds + 1 : 0;
	if (seconds && (!wire->looked_at || wire->looked_at > wire->deadline)) {
		enter_slot(wire, wire->deadline);
	}
}

static void look_at(struct wire *wire)
{
	wire_deadline_forget(wire);
	if (!wire->deadline) {
		return;
	}
	if (wire->deadline > wire->hub->tick) {
		enter_slot(wire, wire->deadline);
		return;
	}
	/* What stands in the socket is read first (common/due.h). */
	wire->deadline = 0;
	wire->is_late = true;
	wire->late_since = wire->hub->tick;
	due_queue_add(&wire->hub->overdue, &wire->overdue);
}

void wire_deadline_tick(struct wire_hub *hub)
{
	struct wire *wire;

	hub->tick++;
	/* Nothing is put into the slot that is being emptied. */
	while ((wire = LIST_FIRST(&hub->slots[hub->tick % WIRE_SLOTS]))) {
		look_at(wire);
	}
}
