/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The BOSH requests that a worker has: those whose connections it has, until their exchanges have
 * ended, and those that other workers have passed to it, until they are answered. Each round trip
 * makes one and looks for it once, so neither allocates nor hashes.
 *
 * exchange id  identifies a request at a worker: in the upper 16 bits that worker, so that a log
 *              with the lines of all workers has each id once; then the serial number of this use
 *              of the place, 24 bits; then the place
 * place        an index in the table. The last one that became free is used first, while its memory
 *              is still in the cache
 *
 * The serial number distinguishes a request from an earlier one that had the same place, of which a
 * message may still be under way. It repeats after 16 million uses of the place. The table does not
 * shrink: it keeps 64 bytes for each of the most requests that there were at one time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"
#include "gateway/bosh/sid.h"

struct http_exchange;
struct bosh_passed;

enum {
	/* More requests than a process has descriptors. */
	BOSH_PENDING_MAX = 1 << 24,
	BOSH_PENDING_CHUNK = 64, /* those that are allocated together */
};

struct bosh_pending {
	uint64_t id;                    /* private to the table while the place is free */
	struct http_exchange *exchange; /* NULL: another worker has the connection */
	struct bosh_passed *passed;     /* what the workers share about it (relay.c); may be NULL */
	unsigned owner;                 /* the worker that has the session */
	uint32_t next;                  /* private to the table */
	bool is_used;                   /* likewise */
	bool is_answered;               /* or its client is gone */
	char sid[SID_LENGTH + 1];       /* "" for a creation request */
};

struct bosh_pending_table {
	struct bosh_pending **chunks;
	uint32_t n_chunks;
	uint32_t first_free; /* an index; BOSH_PENDING_MAX: none */
	unsigned worker;
};

void bosh_pending_table_init(struct bosh_pending_table *table, unsigned worker);

/* May run twice. */
void bosh_pending_table_deinit(struct bosh_pending_table *table);

/* @exchange may be NULL. Returns NULL if out of memory. Only `id` and `exchange` are set, and
 * `owner` to this worker. */
struct bosh_pending *bosh_pending_new(struct bosh_pending_table *table,
				      struct http_exchange *exchange);

/* The request of @id, or NULL. */
struct bosh_pending *bosh_pending_find(const struct bosh_pending_table *table, uint64_t id);

/* Gives the place back. */
void bosh_pending_free(struct bosh_pending_table *table, struct bosh_pending *pending);
