/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sends together what a link is given in one turn of the loop: a client that sends its stanzas one
 * by one causes one write to the server. One object serves all links of a worker, because a turn
 * usually handles one link after the other.
 *
 * Private to gateway/xmpp, except for being a member of struct link_env.
 */
#include <uv.h>

#include "common/buffer.h"

struct link;

enum {
	/* Bytes that are sent at once, without waiting for the end of the turn. */
	GATHER_MAX = 64 * 1024,
};

struct gather {
	uv_prepare_t prepare; /* runs after the loop's timers, */
	uv_check_t check;     /* and after its polls */
	struct link *link;    /* which the bytes are for; NULL: there are none */
	struct buffer bytes;
	void (*write)(struct link *link, struct sv bytes);
};

/* @write is called from the loop, or from gather_add() and gather_flush(). */
void gather_init(struct gather *gather, uv_loop_t *loop,
		 void (*write)(struct link *link, struct sv bytes));

/* Drops the bytes and closes the handles. The memory belongs to the loop until its next turn. */
void gather_close(struct gather *gather);

/* Adds @bytes for @link, and sends those of another link. Returns 0 or -ENOMEM. */
_must_check_ int gather_add(struct gather *gather, struct link *link, struct sv bytes);

/* Sends the bytes of @link now. */
void gather_flush(struct gather *gather, const struct link *link);

/* Drops the bytes of @link. */
void gather_drop(struct gather *gather, const struct link *link);

/* Returns the number of bytes of @link. */
size_t gather_waiting(const struct gather *gather, const struct link *link);
