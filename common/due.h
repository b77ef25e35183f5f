/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Defers what a timer has made due until the loop has read what is readable. libuv runs due timers
 * before it polls: after a long iteration, the event that the timer waited for in vain has often
 * arrived and is still in a socket. A timer callback that adds an item here, instead of acting on
 * the time-out, lets the loop read first; the item is carried out once, behind the next poll.
 *
 * item  embedded in what is due; it is in the queue or not
 *
 * One loop, one thread. While the queue has items the poll does not block, so an item waits for one
 * poll and no longer, however much there is to read.
 */
#include <sys/queue.h>
#include <uv.h>

#include "common/macro.h"

struct due_item {
	TAILQ_ENTRY(due_item) in_queue; /* zero when it is in none */
};

struct due_queue {
	TAILQ_HEAD(due_items, due_item) items;
	size_t n_items;
	uv_check_t check; /* runs behind the loop's poll */
	uv_idle_t idle;   /* active while there are items: the poll does not block */
	void (*carry_out)(struct due_item *item);
};

/* @carry_out is called for each item. It has been removed before and may be added again, for the
 * next iteration. */
void due_queue_init(struct due_queue *queue, uv_loop_t *loop,
		    void (*carry_out)(struct due_item *item));

/* Nothing is carried out any more. The queue's memory is the loop's until its next iteration. */
void due_queue_close(struct due_queue *queue);

/* Does nothing if @item is in the queue already. */
void due_queue_add(struct due_queue *queue, struct due_item *item);

/* Does nothing if @item is not in the queue. */
void due_queue_remove(struct due_queue *queue, struct due_item *item);
