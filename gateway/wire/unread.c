/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/wire/state.h"

static bool is_charged(const struct wire *wire)
{
	return wire->unread && wire->unread->charge.n_bytes;
}

static const struct address *payer_of(const struct wire *wire)
{
	return wire->unread ? &wire->unread->payer : &wire->peer;
}

/* Returns 0 or -ENOMEM. */
static int unread_get(struct wire *wire)
{
	if (!wire->unread) {
		wire->unread = malloc(sizeof(*wire->unread));
		if (!wire->unread) {
			return -ENOMEM;
		}
		*wire->unread = (struct wire_unread){.wire = wire, .payer = wire->peer};
	}
	return 0;
}

int wire_set_payer(struct wire *wire, const struct address *payer)
{
	if (!wire->hub->options.unread || is_charged(wire) ||
	    address_is_same_host(payer, payer_of(wire))) {
		return 0;
	}
	int r = unread_get(wire);

	if (r == 0) {
		wire->unread->payer = *payer;
	}
	return r;
}

/* Whether what waits, @n bytes, is to be charged. */
static bool counts(const struct wire *wire, size_t n)
{
	const struct wire_hub_options *options = &wire->hub->options;

	return is_charged(wire) || (options->unread && n > BUDGET_STEP &&
				    options->is_bounded(options->userdata, payer_of(wire)));
}

int wire_charge(struct wire *wire, size_t n_queue, size_t n_kept,
		void (*evict)(struct budget_charge *charge))
{
	size_t n = n_queue + n_kept;
	bool has_to_pay = counts(wire, n);
	int r = has_to_pay ? unread_get(wire) : 0;
	struct wire_unread *unread = wire->unread;

	if (r < 0) {
		return r;
	}
	if (unread) {
		unread->n_kept = n_kept;
	}
	if (!has_to_pay) {
		return 0;
	}
	if (!is_charged(wire)) {
		unread->charge = BUDGET_CHARGE_INIT(wire->hub->options.owner, evict);
	}
	return budget_hold(wire->hub->options.unread, &unread->charge, &unread->payer, n);
}

void wire_charge_sent(struct wire *wire)
{
	struct wire_unread *unread = wire->unread;

	if (!unread || unread->n_kept == 0) {
		wire_release_charge(wire);
	} else if (is_charged(wire)) {
		/* The charge does not grow, so this cannot fail. */
		(void)!budget_hold(wire->hub->options.unread, &unread->charge, &unread->payer,
				   unread->n_kept);
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
