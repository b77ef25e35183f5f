/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What clients send one by one and a link is to send together: the stanzas of one turn of the loop go to the server in one write. For all
 * links of a worker, from two handles of its loop.
 *
 * Private to gateway/xmpp, but for what stands in struct link_env.
 */
#include <uv.h>

#include "common/buffer.h"

struct link;

enum {
	/* So much goes out by itself, without waiting for more of the same turn. */
	GATHER_MAX = 64 * 1024,
};

struct gather {
	uv_prepare_t prepare; /* behind the loop's timers, */
	uv_check_t check;     /* and behind its polls */
	struct link *link;    /* whose these are; NULL: there are none */
	struct buffer bytes;
	void (*write)(struct link *link, struct sv bytes);
};

/* @write is called from the loop, or from gather_add() and gather_flush(). */
void gather_init(struct gather *gather, uv_loop_t *loop, void (*write)(struct link *link, struct sv bytes));

/* No handle runs afterwards; the memory is the loop's until its next turn. */
void gather_close(struct gather *gather);

/* Adds @bytes of @link; those of another one go out. Returns 0 or -ENOMEM. */
_must_check_ int gather_add(struct gather *gather, struct link *link, struct sv bytes);

/* What is there of @link goes out now. */
void gather_flush(struct gather *gather, const struct link *link);

/* What is there of @link is dropped. */
void gather_drop(struct gather *gather, const struct link *link);

/* How many bytes are there of @link. */
size_t gather_waiting(const struct gather *gather, const struct link *link);
