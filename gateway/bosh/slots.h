/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The requests of a BOSH session that were processed and are not answered yet, oldest first. Their
 * number is bounded, so all memory is allocated at the beginning. Section names are XEP-0124's.
 *
 * slot      one such request
 * exchange  the HTTP request that waits for the answer; 0 once its connection has broken. The slot
 *           stays, because the client may repeat the request ("Broken Connections")
 * stale     the client has sent a request from another address since. It may have given up this one
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/mono.h"
#include "gateway/bosh/key.h"

enum bosh_slot_kind {
	BOSH_SLOT_PLAIN,
	BOSH_SLOT_EXTRA,  /* it pauses or terminates: one more than `requests`; see reply-cache.h */
	BOSH_SLOT_OPENER, /* its answer names the new stream `stream`, which it asked for */
	BOSH_SLOT_OPENER_REFUSED, /* it asked for a stream, and there are too many already */
};

struct bosh_slot {
	uint64_t rid;
	uint64_t exchange;
	struct mono received;
	unsigned n_repeats;
	struct bosh_key key;
	bool is_empty; /* it asked for nothing but an answer */
	bool is_stale;
	enum bosh_slot_kind kind;
	unsigned stream; /* of an OPENER */
};

struct bosh_slots {
	struct bosh_slot *items;
	size_t n, n_max;
};

/* Makes room for @n_max slots. Returns 0 or -ENOMEM; bosh_slots_deinit() is allowed after both. */
_must_check_ int bosh_slots_init(struct bosh_slots *slots, size_t n_max);
void bosh_slots_deinit(struct bosh_slots *slots);

/* Appends a copy of @slot, for which there must be room. The result is valid until the next push or
 * pop. */
struct bosh_slot *bosh_slots_push(struct bosh_slots *slots, const struct bosh_slot *slot);

/* The oldest and the youngest slot, NULL when there is none. Valid until the next push or pop. */
struct bosh_slot *bosh_slots_first(const struct bosh_slots *slots);
struct bosh_slot *bosh_slots_last(const struct bosh_slots *slots);
struct bosh_slot *bosh_slots_find(const struct bosh_slots *slots, uint64_t rid);

/* Removes the oldest slot, which there must be. */
void bosh_slots_pop(struct bosh_slots *slots);
void bosh_slots_clear(struct bosh_slots *slots);

/* Whether any request could be answered now: its connection is there. */
bool bosh_slots_are_attended(const struct bosh_slots *slots);

/* How many requests the client waits for, as far as the gateway can know: those whose connection is
 * there and that are not stale. */
size_t bosh_slots_n_under_way(const struct bosh_slots *slots);

static inline bool bosh_slot_is_opener(const struct bosh_slot *slot)
{
	return slot->kind == BOSH_SLOT_OPENER || slot->kind == BOSH_SLOT_OPENER_REFUSED;
}

/* Whether the answer to any slot has to name a new stream, or refuse one. */
bool bosh_slots_have_opener(const struct bosh_slots *slots);

/* When the earliest of the requests came, which need not be the oldest: they may come out of order.
 * MONO_NEVER when there are no slots. */
struct mono bosh_slots_earliest(const struct bosh_slots *slots);

void bosh_slots_set_stale(struct bosh_slots *slots);

/* The connection of @exchange broke. */
void bosh_slots_forget(struct bosh_slots *slots, uint64_t exchange);

/* Gives the exchange of one slot and forgets it; 0 when no slot has one. */
uint64_t bosh_slots_take_exchange(struct bosh_slots *slots);
