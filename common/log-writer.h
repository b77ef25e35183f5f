/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A thread that writes log lines to a descriptor, so that no other thread ever waits for whoever
 * reads them: a terminal that is stopped, a pipe that nobody empties, a disk that is full.
 *
 * What does not fit in the queue is lost. The writer says how many lines that were, in a line of
 * its own (event=log-lost n=...) at the place where they are missing. What cannot be written (EPIPE,
 * ENOSPC, EIO) stays in the queue, and is tried again every LOG_RETRY_MS.
 */
#include <pthread.h>
#include <time.h>

#include "common/log-line.h"
#include "common/log-queue.h"

enum {
	/* How often a writer that waits for its reader looks whether it is to end. */
	LOG_POLL_MS = 100,
	LOG_RETRY_MS = 1000,
};

struct log_writer {
	pthread_mutex_t mutex; /* guards all that follows, but for the chunk */
	pthread_cond_t wake;   /* of the writer: there is a line, or it is to end */
	pthread_cond_t gone;   /* of who waits for the writer's end */
	struct log_queue queue;
	bool is_idle, is_ending, is_gone;
	struct timespec deadline; /* when is_ending */
	pthread_t thread;
	int fd;
	/* The writer's own: lines on their way to the descriptor, PIPE_BUF bytes at most. */
	char chunk[LOG_LINE_MAX];
	size_t n_chunk, n_written;
};

/* Starts the thread, all signals blocked. The descriptor and the @n_max bytes are borrowed until
 * log_writer_stop() has returned true. Returns 0 or a negative errno. */
_must_check_ int log_writer_start(struct log_writer *writer, int fd, char *bytes, size_t n_max);

/* Queues a copy of @line (log-queue.h). Never waits for the descriptor. From every thread. */
void log_writer_push(struct log_writer *writer, struct sv line);

/* Ends the thread, after it has written what is queued or after @timeout_ms and a moment. Nobody may
 * push then or later. Returns whether everything has been written. If not, a write(2) may hold the
 * thread up still: it is left alone, and needs @writer until the process ends. */
bool log_writer_stop(struct log_writer *writer, int timeout_ms);
