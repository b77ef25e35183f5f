/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Delays what a timer has made due until the loop has read the sockets. A time-out means that
 * something has not arrived. But libuv runs the timers before it polls: after a long iteration of
 * the loop, what the timer waits for has often arrived and is still unread in a socket. So the
 * timer's callback only adds an item to this queue, and the queue carries it out once, after the
 * next poll. A struct timeout (common/timeout.h) polls by itself; this queue is for what has to be
 * bounded, too.
 *
 * item  embedded in the object that is due; in the queue at most once
 * share how long the items may hold up the rest of the loop in one iteration, plus the time of the
 *       last of them. What is left waits for the next iteration, in its place. Without it, clients
 *       whose timers end at the same time would make everybody else wait for all of them
 *
 * One loop, one thread. A queue with items keeps the loop from blocking in its poll, so an item
 * waits no longer than one poll, as long as the share is not used up.
 */
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/macro.h"

enum {
	/* A share for items that a client can cause, thousands at the same time. */
	DUE_US = 2000,
};

struct due_item {
	TAILQ_ENTRY(due_item) in_queue; /* zero when it is in no queue */
};

struct due_queue {
	TAILQ_HEAD(due_items, due_item) items;
	size_t n_items;
	uint64_t share_ns; /* 0: all items of an iteration */
	uv_check_t check; /* runs after the loop's poll */
	uv_idle_t idle;   /* active while there are items: the poll does not block */
	void (*carry_out)(struct due_item *item);
};

/* The queue removes an item before it calls @carry_out, which may add the item again for the next
 * iteration. @share_us: the share; 0: there is none, for items that bound themselves. */
void due_queue_init(struct due_queue *queue, uv_loop_t *loop, unsigned share_us,
		    void (*carry_out)(struct due_item *item));

/* Stops carrying out items. The memory of the queue must stay valid until the next iteration of the
 * loop. */
void due_queue_close(struct due_queue *queue);

/* Does nothing if @item is in the queue already. */
void due_queue_add(struct due_queue *queue, struct due_item *item);

/* Does nothing if @item is not in the queue. */
void due_queue_remove(struct due_queue *queue, struct due_item *item);
