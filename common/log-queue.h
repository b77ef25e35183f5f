/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Log lines that wait to be written: a ring of bytes, whole lines only, in the order in which they
 * were pushed. No I/O, no lock, no allocation: log-writer.h adds those.
 *
 * loss  one or more lines that found no room. It has a place among the other lines: behind those
 *       that were in the queue then. Losses that nobody has taken yet are summed up in the first.
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
	size_t n_before_loss; /* bytes in the queue that were pushed before the loss */
};

/* @bytes are borrowed for the queue's life. */
void log_queue_init(struct log_queue *queue, char *bytes, size_t n_max);

/* Copies @line, which ends with its only newline. False when there is no room: then it is counted
 * as lost. */
bool log_queue_push(struct log_queue *queue, struct sv line);

/* Takes as many whole lines as fit in @n_max bytes, but none from behind a loss; @n_max is at least
 * the longest line. Returns how many bytes. 0: the queue is empty, or log_queue_take_loss() is due. */
size_t log_queue_take(struct log_queue *queue, char *ret_bytes, size_t n_max);

/* Returns how many lines were lost here, between what was taken and what comes next, and forgets
 * them; 0 when none were. */
uint64_t log_queue_take_loss(struct log_queue *queue);
