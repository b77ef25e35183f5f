/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Collects what links are given during one iteration of the loop, and sends it at its end. A client
 * that sends its stanzas one by one causes one write to the server, and the writes of all links
 * follow each other: a server on the same machine is not woken between two requests. One object
 * serves all links of a worker.
 *
 * part  consecutive bytes for one link; a link may have several
 *
 * Private to gateway/xmpp, except for being a member of struct link_env.
 */
#include <uv.h>

#include "common/buffer.h"

struct link;

enum {
	/* Bytes that are sent at once, without waiting for the end of the turn. */
	OUTBOX_MAX = 64 * 1024,
	/* Bytes that are sent at once when they are added in one piece: copying more costs more
	 * than the write that it could save. */
	OUTBOX_ONE_MAX = 16 * 1024,
	/* Parts after which all is sent: about as many as the loop reports events at a time. */
	OUTBOX_PARTS_MAX = 64,
};

struct outbox_part {
	struct link *link; /* NULL: sent or dropped */
	size_t end;        /* in the bytes; it begins where the part before it ends */
};

struct outbox {
	uv_prepare_t prepare; /* runs after the loop's timers, */
	uv_check_t check;     /* and after its polls */
	struct outbox_part parts[OUTBOX_PARTS_MAX];
	size_t n_parts;
	struct buffer bytes;
	void (*write)(struct link *link, struct sv bytes);
};

/* In a loop with a mailbox, to be called after mailbox_init(): servers are written to before other
 * workers are woken, which may take the core. @write is called from the loop, or from outbox_add()
 * and outbox_flush(). */
void outbox_init(struct outbox *outbox, uv_loop_t *loop,
		 void (*write)(struct link *link, struct sv bytes));

/* Drops the bytes and closes the handles. The memory belongs to the loop until its next turn. */
void outbox_close(struct outbox *outbox);

/* Adds @bytes for @link. Sends all when there is too much. Returns 0 or -ENOMEM. */
_must_check_ int outbox_add(struct outbox *outbox, struct link *link, struct sv bytes);

/* Sends the bytes of @link now. */
void outbox_flush(struct outbox *outbox, const struct link *link);

/* Drops the bytes of @link. */
void outbox_drop(struct outbox *outbox, const struct link *link);

/* Returns the number of bytes of @link. */
size_t outbox_waiting(const struct outbox *outbox, const struct link *link);
