/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/pending.h"

#include <assert.h>
#include <stdlib.h>

enum {
	PLACE_BITS = 24,
	SERIAL_BITS = 24,
	WORKER_SHIFT = PLACE_BITS + SERIAL_BITS,
};

static const uint64_t place_mask = (UINT64_C(1) << PLACE_BITS) - 1;
static const uint64_t serial_mask = ((UINT64_C(1) << SERIAL_BITS) - 1) << PLACE_BITS;

void bosh_pending_table_init(struct bosh_pending_table *table, unsigned worker)
{
	*table = (struct bosh_pending_table){.first_free = BOSH_PENDING_MAX, .worker = worker};
}

void bosh_pending_table_deinit(struct bosh_pending_table *table)
{
	for (uint32_t i = 0; i < table->n_chunks; i++) {
		free(table->chunks[i]);
	}
	free(table->chunks);
	bosh_pending_table_init(table, table->worker);
}

static struct bosh_pending *at(const struct bosh_pending_table *table, uint64_t place)
{
	return &table->chunks[place / BOSH_PENDING_CHUNK][place % BOSH_PENDING_CHUNK];
}

static uint32_t place_of(const struct bosh_pending *pending)
{
	return (uint32_t)(pending->id & place_mask);
}

/* Adds a chunk of places, all free. Returns false if out of memory. */
static bool grow(struct bosh_pending_table *table)
{
	uint32_t first = table->n_chunks * BOSH_PENDING_CHUNK;
	struct bosh_pending **chunks;
	struct bosh_pending *chunk;

	if (first == BOSH_PENDING_MAX) {
		return false;
	}
	chunk = calloc(BOSH_PENDING_CHUNK, sizeof(*chunk));
	chunks = reallocarray(table->chunks, table->n_chunks + 1, sizeof(struct bosh_pending *));
	if (chunks) {
		table->chunks = chunks;
	}
	if (!chunk || !chunks) {
		free(chunk);
		return false;
	}
	for (uint32_t i = 0; i < BOSH_PENDING_CHUNK; i++) {
		bool is_last = i + 1 == BOSH_PENDING_CHUNK;

		chunk[i].id = (uint64_t)table->worker << WORKER_SHIFT | (first + i);
		chunk[i].next = is_last ? table->first_free : first + i + 1;
	}
	chunks[table->n_chunks++] = chunk;
	table->first_free = first;
	return true;
}

/* No exchange has the serial number 0, so that no id is 0. */
static uint64_t next_use(uint64_t id)
{
	uint64_t serial = (id + (UINT64_C(1) << PLACE_BITS)) & serial_mask;

	return (id & ~serial_mask) | (serial ? serial : UINT64_C(1) << PLACE_BITS);
}

struct bosh_pending *bosh_pending_new(struct bosh_pending_table *table,
				      struct http_exchange *exchange)
{
	if (table->first_free == BOSH_PENDING_MAX && !grow(table)) {
		return NULL;
	}
	struct bosh_pending *pending = at(table, table->first_free);

	table->first_free = pending->next;
	*pending = (struct bosh_pending){
		.id = next_use(pending->id),
		.exchange = exchange,
		.owner = table->worker,
		.is_used = true,
	};
	return pending;
}

struct bosh_pending *bosh_pending_find(const struct bosh_pending_table *table, uint64_t id)
{
	uint64_t place = id & place_mask;

	if (place / BOSH_PENDING_CHUNK >= table->n_chunks) {
		return NULL;
	}
	struct bosh_pending *pending = at(table, place);

	return pending->is_used && pending->id == id ? pending : NULL;
}

void bosh_pending_free(struct bosh_pending_table *table, struct bosh_pending *pending)
{
	assert(pending->is_used);
	pending->is_used = false;
	pending->next = table->first_free;
	table->first_free = place_of(pending);
}
