/* SPDX-License-Identifier: MIT */
#include "common/due.h"

#include <assert.h>
#include <stdbool.h>

enum {
	NS_PER_US = 1000,
};

static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

static void on_check(uv_check_t *check)
{
	struct due_queue *queue = CONTAINER_OF(check, struct due_queue, check);
	/* One item is the usual case, and needs no clock. */
	bool is_bounded = queue->share_ns && queue->n_items > 1;
	uint64_t begin_ns = is_bounded ? uv_hrtime() : 0;
	struct due_item *item;

	/* Items that are added meanwhile wait for the next poll. */
	for (size_t n = queue->n_items; n > 0 && (item = TAILQ_FIRST(&queue->items)); n--) {
		due_queue_remove(queue, item);
		queue->carry_out(item);
		if (is_bounded && uv_hrtime() - begin_ns >= queue->share_ns) {
			break;
		}
	}
}

void due_queue_init(struct due_queue *queue, uv_loop_t *loop, unsigned share_us,
		    void (*carry_out)(struct due_item *item))
{
	*queue = (struct due_queue){.share_ns = (uint64_t)share_us * NS_PER_US,
				    .carry_out = carry_out};
	TAILQ_INIT(&queue->items);
	uv_check_init(loop, &queue->check);
	uv_idle_init(loop, &queue->idle);
	uv_check_start(&queue->check, on_check);
	/* The check handle alone must not keep the loop running. */
	uv_unref((uv_handle_t *)&queue->check);
}

void due_queue_close(struct due_queue *queue)
{
	uv_close((uv_handle_t *)&queue->check, NULL);
	uv_close((uv_handle_t *)&queue->idle, NULL);
}

void due_queue_add(struct due_queue *queue, struct due_item *item)
{
	if (item->in_queue.tqe_prev) {
		return;
	}
	TAILQ_INSERT_TAIL(&queue->items, item, in_queue);
	if (queue->n_items++ == 0) {
		uv_idle_start(&queue->idle, on_idle);
	}
}

void due_queue_remove(struct due_queue *queue, struct due_item *item)
{
	if (!item->in_queue.tqe_prev) {
		return;
	}
	TAILQ_REMOVE(&queue->items, item, in_queue);
	*item = (struct due_item){0};
	assert(queue->n_items > 0);
	if (--queue->n_items == 0) {
		uv_idle_stop(&queue->idle);
	}
}
