/* SPDX-License-Identifier: MIT */
#include "gateway/listener/waiting.h"

#include <errno.h>
#include <stdlib.h>

int waiting_enter(struct waiting_room *room, struct wire *wire, unsigned state, unsigned timeout_s)
{
	struct waiting *waiting = malloc(sizeof(*waiting));

	if (!waiting) {
		return -ENOMEM;
	}
	*waiting = (struct waiting){.room = room, .wire = wire, .state = state};
	wire_set_user(wire, room->callbacks, waiting);
	int r = wire_join(wire, room->hub);

	if (r < 0) {
		free(waiting);
		return r;
	}
	LIST_INSERT_HEAD(&room->all, waiting, in_room);
	wire_set_deadline(wire, timeout_s);
	return 0;
}

struct wire *waiting_leave(struct waiting *waiting)
{
	struct wire *wire = waiting->wire;

	LIST_REMOVE(waiting, in_room);
	free(waiting);
	return wire;
}

void waiting_room_deinit(struct waiting_room *room)
{
	while (!LIST_EMPTY(&room->all)) {
		waiting_leave(LIST_FIRST(&room->all));
	}
}
