/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/early.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void bosh_early_init(struct bosh_early *early, size_t n_max)
{
	*early = (struct bosh_early){.n_max = n_max};
}

void bosh_early_deinit(struct bosh_early *early)
{
	for (size_t i = 0; i < early->size; i++) {
		bosh_arrival_clear(&early->items[i]);
	}
	free(early->items);
	early->items = NULL;
	early->size = 0;
}

void bosh_arrival_clear(struct bosh_arrival *arrival)
{
	if (arrival->body) {
		bosh_body_deinit(arrival->body);
		free(arrival->body);
	}
	*arrival = (struct bosh_arrival){0};
}

struct bosh_arrival *bosh_early_find(const struct bosh_early *early, uint64_t rid)
{
	for (size_t i = 0; i < early->size; i++) {
		if (early->items[i].body && early->items[i].rid == rid) {
			return &early->items[i];
		}
	}
	return NULL;
}

bool bosh_early_take(struct bosh_early *early, uint64_t rid, struct bosh_arrival *ret_arrival)
{
	struct bosh_arrival *arrival = bosh_early_find(early, rid);

	if (!arrival) {
		return false;
	}
	*ret_arrival = *arrival;
	*arrival = (struct bosh_arrival){0};
	return true;
}

static int make_room(struct bosh_early *early)
{
	if (early->items) {
		return 0;
	}
	early->items = calloc(early->n_max, sizeof(*early->items));
	early->size = early->items ? early->n_max : 0;
	return early->items ? 0 : -ENOMEM;
}

static struct bosh_arrival *find_free(struct bosh_early *early)
{
	size_t i = 0;

	while (i < early->size && early->items[i].body) {
		i++;
	}
	/* The window has as many rids as there are places. */
	assert(i < early->size);
	return &early->items[i];
}

int bosh_early_put(struct bosh_early *early, uint64_t exchange, struct bosh_body *body,
		   struct mono now)
{
	struct bosh_body *copy = malloc(sizeof(*copy));

	assert(!bosh_early_find(early, body->rid));
	if (!copy || make_room(early) < 0) {
		free(copy);
		return -ENOMEM;
	}
	*copy = *body;
	body->payloads = BUFFER_INIT;
	body->text = BUFFER_INIT;
	*find_free(early) = (struct bosh_arrival){
		.rid = copy->rid,
		.exchange = exchange,
		.received = now,
		.body = copy,
	};
	return 0;
}

uint64_t bosh_early_highest(const struct bosh_early *early, uint64_t next_rid)
{
	while (bosh_early_find(early, next_rid)) {
		next_rid++;
	}
	return next_rid - 1;
}

struct mono bosh_early_latest(const struct bosh_early *early, struct mono since)
{
	for (size_t i = 0; i < early->size; i++) {
		const struct bosh_arrival *arrival = &early->items[i];

		if (arrival->body && !mono_reached(arrival->received, since)) {
			since = arrival->received;
		}
	}
	return since;
}

void bosh_early_forget(struct bosh_early *early, uint64_t exchange)
{
	for (size_t i = 0; i < early->size; i++) {
		if (early->items[i].body && early->items[i].exchange == exchange) {
			bosh_arrival_clear(&early->items[i]);
		}
	}
}

uint64_t bosh_early_take_exchange(struct bosh_early *early)
{
	for (size_t i = 0; i < early->size; i++) {
		uint64_t exchange = early->items[i].exchange;

		if (exchange) {
			early->items[i].exchange = 0;
			return exchange;
		}
	}
	return 0;
}

size_t bosh_early_held(const struct bosh_early *early)
{
	size_t n = 0;

	for (size_t i = 0; i < early->size; i++) {
		const struct bosh_body *body = early->items[i].body;

		n += body ? sizeof(*body) + body->payloads.size + body->text.size : 0;
	}
	return n;
}
