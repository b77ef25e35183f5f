/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The requests of a BOSH session that came before their predecessors (XEP-0124, "In-Order Message
 * Forwarding"). They wait here, in any order, until their turn comes. A request that seems to poll
 * too fast waits here, too, until that is certain (BOSH_VERDICT_MS). Most sessions never have any,
 * so memory is allocated with the first. The window of rids bounds their number.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/mono.h"
#include "gateway/bosh/body.h"

struct bosh_arrival {
	uint64_t rid;
	uint64_t exchange;
	struct mono received;
	unsigned n_repeats;
	struct bosh_body *body; /* NULL: this place is free */
};

struct bosh_early {
	struct bosh_arrival *items;
	size_t size; /* 0 or n_max */
	size_t n_max;
};

/* @n_max is the size of the window. */
void bosh_early_init(struct bosh_early *early, size_t n_max);
void bosh_early_deinit(struct bosh_early *early);

/* Keeps a request, whose rid must not be there yet. Moves what it needs out of @body. Returns 0 or
 * -ENOMEM, and then the exchange is still the caller's. */
_must_check_ int bosh_early_put(struct bosh_early *early, uint64_t exchange, struct bosh_body *body,
				struct mono now);

/* The request of @rid, or NULL. Valid until it is taken. */
struct bosh_arrival *bosh_early_find(const struct bosh_early *early, uint64_t rid);

/* Moves the request of @rid to *ret_arrival, which the caller clears when done with it. False when
 * there is none. */
bool bosh_early_take(struct bosh_early *early, uint64_t rid, struct bosh_arrival *ret_arrival);

/* Frees the body of @arrival; its place is free afterwards. */
void bosh_arrival_clear(struct bosh_arrival *arrival);

/* The highest rid up to which no request is missing. All below @next_rid have come. */
uint64_t bosh_early_highest(const struct bosh_early *early, uint64_t next_rid);

/* When the latest request came, or @since if that is later. */
struct mono bosh_early_latest(const struct bosh_early *early, struct mono since);

/* The connection of @exchange broke before its turn came: forgets the request. */
void bosh_early_forget(struct bosh_early *early, uint64_t exchange);

/* Bytes of memory that the requests hold. */
size_t bosh_early_held(const struct bosh_early *early);

/* Gives the exchange of one request and forgets it; 0 when there is none left. */
uint64_t bosh_early_take_exchange(struct bosh_early *early);
