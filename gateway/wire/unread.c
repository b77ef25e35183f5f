/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/wire/state.h"

int wire_charge(struct wire *wire, size_t n_queue, size_t n_kept,
		void (*evict)(struct budget_charge *charge))
{
	size_t n = n_queue + n_kept;
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
	wire->unread->n_kept = n_kept;
	return budget_hold(options->unread, &wire->unread->charge, &wire->peer, n);
}

void wire_charge_sent(struct wire *wire)
{
	struct wire_unread *unread = wire->unread;

	if (unread && unread->n_kept) {
		/* It does not grow, so nothing can fail. */
		(void)!budget_hold(wire->hub->options.unread, &unread->charge, &wire->peer,
				   unread->n_kept);
	} else {
		wire_release_charge(wire);
	}
}

void wire_release_charge(struct wire *wire)
{
	if (wire->unread) {
		budget_release(wire->hub->options.unread, &wire->unread->charge);
		free(wire->unread);
		wire->unread = NULL;
	}
}
