/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Log lines that wait to be written: a ring of bytes that holds whole lines in the order in which
 * they were pushed. No I/O, no locks, no allocation; log-writer.h adds the thread.
 *
 * loss  lines that were dropped because the queue was full. It has a position: after the lines that
 *       were in the queue when its first line was dropped. Until it is taken, all further lines
 *       that are dropped count as part of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

struct log_queue {
	char *bytes;
	size_t n_max;
	size_t start; /* where the oldest line begins */
	size_t n;
	uint64_t n_lost;
	size_t n_before_loss; /* bytes in the queue that come before the loss */
};

/* The ring uses the @n_max @bytes, which are borrowed for the queue's life. */
void log_queue_init(struct log_queue *queue, char *bytes, size_t n_max);

/* Copies @line, which ends with its only newline. Returns false when there is no room; the line is
 * then counted as lost. */
bool log_queue_push(struct log_queue *queue, struct sv line);

/* Takes as many whole lines as fit into @n_max bytes, up to the loss if there is one. @n_max must
 * be at least the length of the longest line. Returns the number of bytes taken; 0 when the queue
 * is empty or the loss comes next. */
size_t log_queue_take(struct log_queue *queue, char *ret_bytes, size_t n_max);

/* If the loss comes next, takes it and returns its number of lines. Returns 0 otherwise. */
uint64_t log_queue_take_loss(struct log_queue *queue);
