/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Log lines that wait to be written: a ring of bytes that holds whole lines in the order in which
 * they were pushed. No I/O, no locks, no allocation; log-writer.h adds the thread.
 *
 * loss  lines that found no room. A loss has a place among the other lines: after those that were
 *       in the queue when its first line was lost. Lines lost before it is taken are added to it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

struct log_queue {
	char *bytes;
	size_t n_max;
	size_t start; /* of the oldest line */
	size_t n;
	uint64_t n_lost;
	size_t n_before_loss; /* bytes that are still in the queue and come before the loss */
};

/* @bytes are borrowed for the queue's life. */
void log_queue_init(struct log_queue *queue, char *bytes, size_t n_max);

/* Copies @line, which ends with its only newline. Returns false when there is no room: the line is
 * then counted as lost. */
bool log_queue_push(struct log_queue *queue, struct sv line);

/* Takes as many whole lines as fit into @n_max bytes, but none that come after a loss. @n_max is at
 * least the length of the longest line. Returns the number of bytes taken; 0 when the queue is
 * empty or the loss comes next. */
size_t log_queue_take(struct log_queue *queue, char *ret_bytes, size_t n_max);

/* Returns the number of lines that were lost between those taken so far and the next one, and
 * resets it; 0 when there is no loss here. */
uint64_t log_queue_take_loss(struct log_queue *queue);
