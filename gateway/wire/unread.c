/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/wire/state.h"

int wire_charge(struct wire *wire, size_t n, void (*evict)(struct budget_charge *charge))
{
	const struct wire_hub_options *options = &wire->hub->options;

	if (!wire->unread && (!options->unread || n <= BUDGET_STEP ||
			      !options->is_bounded(options->userdata, &wire->peer))) {
		return 0;
	}
	if (!wire->unread) {
		wire->unread = malloc(sizeof(*wire->unread));
		if (!wire->unread) {
			return -ENOMEM;
		}
		*wire->unread = (struct wire_unread){
			.wire = wire, .charge = BUDGET_CHARGE_INIT(options->owner, evict)};
	}
	return budget_hold(options->unread, &wire->unread->charge, &wire->peer, n);
}

void wire_release_charge(struct wire *wire)
{
	if (wire->unread) {
		budget_release(wire->hub->options.unread, &wire->unread->charge);
		free(wire->unread);
		wire->unread = NULL;
	}
}
