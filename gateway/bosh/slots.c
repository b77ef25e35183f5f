/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/slots.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int bosh_slots_init(struct bosh_slots *slots, size_t n_max)
{
	*slots = (struct bosh_slots){.items = calloc(n_max, sizeof(*slots->items))};
	if (!slots->items) {
		return -ENOMEM;
	}
	slots->n_max = n_max;
	return 0;
}

void bosh_slots_deinit(struct bosh_slots *slots)
{
	free(slots->items);
	*slots = (struct bosh_slots){0};
}

struct bosh_slot *bosh_slots_push(struct bosh_slots *slots, const struct bosh_slot *slot)
{
	assert(slots->n < slots->n_max);
	/* Slots are found by rid, and answered in its order. */
	assert(slots->n == 0 || bosh_slots_last(slots)->rid < slot->rid);
	slots->items[slots->n] = *slot;
	return &slots->items[slots->n++];
}

struct bosh_slot *bosh_slots_first(const struct bosh_slots *slots)
{
	return slots->n ? &slots->items[0] : NULL;
}

struct bosh_slot *bosh_slots_last(const struct bosh_slots *slots)
{
	return slots->n ? &slots->items[slots->n - 1] : NULL;
}

struct bosh_slot *bosh_slots_find(const struct bosh_slots *slots, uint64_t rid)
{
	for (size_t i = 0; i < slots->n; i++) {
		if (slots->items[i].rid == rid) {
			return &slots->items[i];
		}
	}
	return NULL;
}

void bosh_slots_pop(struct bosh_slots *slots)
{
	assert(slots->n > 0);
	slots->n--;
	memmove(slots->items, slots->items + 1, slots->n * sizeof(*slots->items));
}

void bosh_slots_clear(struct bosh_slots *slots)
{
	slots->n = 0;
}

bool bosh_slots_are_attended(const struct bosh_slots *slots)
{
	for (size_t i = 0; i < slots->n; i++) {
		if (slots->items[i].exchange) {
			return true;
		}
	}
	return false;
}

size_t bosh_slots_n_under_way(const struct bosh_slots *slots)
{
	size_t n = 0;

	for (size_t i = 0; i < slots->n; i++) {
		n += slots->items[i].exchange != 0 && !slots->items[i].is_stale;
	}
	return n;
}

bool bosh_slots_have_opener(const struct bosh_slots *slots)
{
	for (size_t i = 0; i < slots->n; i++) {
		if (bosh_slot_is_opener(&slots->items[i])) {
			return true;
		}
	}
	return false;
}

struct mono bosh_slots_earliest(const struct bosh_slots *slots)
{
	struct mono earliest = MONO_NEVER;

	for (size_t i = 0; i < slots->n; i++) {
		earliest = mono_earlier(earliest, slots->items[i].received);
	}
	return earliest;
}

void bosh_slots_set_stale(struct bosh_slots *slots)
{
	for (size_t i = 0; i < slots->n; i++) {
		slots->items[i].is_stale = true;
	}
}

void bosh_slots_forget(struct bosh_slots *slots, uint64_t exchange)
{
	for (size_t i = 0; i < slots->n; i++) {
		if (slots->items[i].exchange == exchange) {
			slots->items[i].exchange = 0;
		}
	}
}

uint64_t bosh_slots_take_exchange(struct bosh_slots *slots)
{
	for (size_t i = 0; i < slots->n; i++) {
		uint64_t exchange = slots->items[i].exchange;

		if (exchange) {
			slots->items[i].exchange = 0;
			return exchange;
		}
	}
	return 0;
}
