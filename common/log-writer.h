/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A thread that writes log lines to a sink (log-sink.h), so that no other thread ever waits for a
 * stopped terminal, a pipe that nobody reads or a slow disk.
 *
 * Lines that do not fit into the queue are lost. The writer reports their number in a line of its
 * own (event=log-lost n=...) at the place where they are missing. When writing fails (EPIPE,
 * ENOSPC, EIO), the lines stay in the queue and the writer tries again every LOG_RETRY_MS.
 */
#include <pthread.h>
#include <time.h>

#include "common/log-line.h"
#include "common/log-queue.h"
#include "common/log-sink.h"

enum {
	/* How often a writer that waits for its reader checks whether it has to stop. */
	LOG_POLL_MS = 100,
	LOG_RETRY_MS = 1000,
};

struct log_writer {
	pthread_mutex_t mutex; /* guards the queue and the flags */
	pthread_cond_t wake;   /* wakes the writer: there is a line, or it has to stop */
	pthread_cond_t gone;   /* wakes log_writer_stop(): the thread has ended */
	struct log_queue queue;
	uint64_t n_lost; /* lines, since the start */
	bool is_idle, is_ending, is_gone;
	bool is_left; /* the thread hangs, and nobody waits for it any more */
	bool must_reopen;
	struct timespec deadline; /* when is_ending */
	pthread_t thread;
	struct log_style style; /* of the lines that the writer itself adds, as log-lost */
	/* Used by the thread alone: the lines that are being written, at most PIPE_BUF bytes. */
	struct log_sink sink;
	char chunk[LOG_LINE_MAX];
	size_t n_chunk, n_written;
};

/* Starts the thread, with all signals blocked. Takes @sink, also when this fails. @bytes are
 * borrowed until log_writer_stop() has returned true. @writer must be zero before the first time.
 * Returns 0 or a negative errno: -EBUSY if @writer has left a thread behind. */
_must_check_ int log_writer_start(struct log_writer *writer, const struct log_sink *sink,
				  const struct log_style *style, char *bytes, size_t n_max);

/* Queues a copy of @line (log-queue.h). Never waits for the descriptor. Thread-safe. */
void log_writer_push(struct log_writer *writer, struct sv line);

/* Changes the style of the lines that the writer itself adds, for example after a reload.
 * Thread-safe. */
void log_writer_set_style(struct log_writer *writer, const struct log_style *style);

/* Has the thread open its sink anew before it writes the next line. If that fails, it logs
 * event=log-reopen-failed and goes on with the former one. Thread-safe. */
void log_writer_reopen(struct log_writer *writer);

/* The number of lines that have been lost since the start. Thread-safe. */
uint64_t log_writer_lost(struct log_writer *writer);

/* Stops the thread once it has written what is queued, or after @timeout_ms and a moment. Nobody
 * may push any more. Returns whether everything has been written. If not, the thread may still hang
 * in a write(2); it is then left behind and uses @writer until the process ends. */
bool log_writer_stop(struct log_writer *writer, int timeout_ms);
