/* SPDX-License-Identifier: MIT */
#include "common/log-queue.h"

#include <assert.h>

void log_queue_init(struct log_queue *queue, char *bytes, size_t n_max)
{
	*queue = (struct log_queue){.bytes = bytes, .n_max = n_max};
}

bool log_queue_push(struct log_queue *queue, struct sv line)
{
	assert(line.n && line.data[line.n - 1] == '\n');
	if (line.n > queue->n_max - queue->n) {
		if (queue->n_lost == 0) {
			queue->n_before_loss = queue->n;
		}
		queue->n_lost++;
		return false;
	}
	if (queue->n == 0) {
		/* While the writer keeps up, only the first few pages are ever used. */
		queue->start = 0;
	}
	assert(queue->start < queue->n_max);
	size_t end = (queue->start + queue->n) % queue->n_max;
	struct sv first = sv_first(line, queue->n_max - end);
	struct sv rest = sv_skip(line, first.n);

	memcpy(queue->bytes + end, first.data, first.n);
	memcpy(queue->bytes, rest.data, rest.n);
	queue->n += line.n;
	return true;
}

size_t log_queue_take(struct log_queue *queue, char *ret_bytes, size_t n_max)
{
	size_t n = queue->n_lost ? queue->n_before_loss : queue->n;

	assert(n <= queue->n);
	n = n < n_max ? n : n_max;
	if (n == 0) {
		return 0;
	}
	size_t n_first = queue->n_max - queue->start;

	n_first = n < n_first ? n : n_first;
	memcpy(ret_bytes, queue->bytes + queue->start, n_first);
	memcpy(ret_bytes + n_first, queue->bytes, n - n_first);
	const char *newline = memrchr(ret_bytes, '\n', n);

	assert(newline);
	n = (size_t)(newline + 1 - ret_bytes);
	queue->start = (queue->start + n) % queue->n_max;
	queue->n -= n;
	if (queue->n_lost) {
		queue->n_before_loss -= n;
	}
	return n;
}

uint64_t log_queue_take_loss(struct log_queue *queue)
{
	uint64_t n_lost = queue->n_before_loss == 0 ? queue->n_lost : 0;

	if (n_lost) {
		queue->n_lost = 0;
	}
	return n_lost;
}
