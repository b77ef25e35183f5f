/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The request bodies that a worker parses in portions, so that other clients need not wait for all
 * of each (bosh_reading_x() of body.h).
 *
 * reading  a body of which some portions are parsed; it belongs to an exchange
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/xml.h"

struct bosh_reading;
struct http_exchange;

enum {
	/* Readings at the same time; other bodies wait. Each may take the memory of a parser
	 * (XML_MEMORY_FACTOR) and of its payloads, which no budget counts. */
	BOSH_READINGS_MAX = 8,
	/* As many of clients that take more than their share: the others shall not wait for
	 * these. If more have begun while their clients took little, one of them loses its place to
	 * the reading of a client that takes little. Otherwise an attacker could begin as many as
	 * there are places, and hold these while his connections wait for their turns. */
	BOSH_READINGS_HEAVY_MAX = 4,
};

struct bosh_readings {
	const struct xml_scan_options *options;
	struct {
		const struct http_exchange *exchange; /* NULL: free */
		struct bosh_reading *reading;
		bool is_heavy; /* its client took more than its share, the last time */
	} places[BOSH_READINGS_MAX];
	unsigned n; /* places that are not free */
};

/* Borrows @options. */
void bosh_readings_init(struct bosh_readings *readings, const struct xml_scan_options *options);
void bosh_readings_deinit(struct bosh_readings *readings);

/* Parses at most @n_portion bytes more of the body of @exchange (wire_portion()). Returns whether
 * it needs no more turn: what is not parsed then, for lack of memory, is to be parsed as if it were
 * small. A body that loses its place is parsed from its beginning when it gets one again. */
_must_check_ bool bosh_readings_go_on(struct bosh_readings *readings, struct xml_pool *pool,
				      const struct http_exchange *exchange, size_t n_portion);

/* Takes the reading of @exchange, which is the caller's then; NULL if there is none. */
struct bosh_reading *bosh_readings_take(struct bosh_readings *readings,
					const struct http_exchange *exchange);
