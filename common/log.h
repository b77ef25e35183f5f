/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The log: one line per event, to standard error, made of key=value fields:
 *
 *     time=2026-01-31T12:00:00.123Z level=info event=session-open client=192.0.2.7 sid=Zk3p
 *
 * Values are quoted and escaped here where necessary, so text from a peer cannot forge a line.
 * Never log a password, a SASL payload or a whole sid. Any thread may log.
 *
 * Between log_start() and log_stop() a separate thread writes the lines (log-writer.h), so that
 * logging never blocks. Before and after that, log_event() writes them itself.
 */
#include "common/log-line.h"

enum {
	/* Bytes of lines that wait for a slow reader: about 7,000 lines, some seconds of a busy
	 * gateway. Bounded, because a reader that has stopped for good must not use up the
	 * memory. */
	LOG_QUEUE_MAX = 1024 * 1024,
	/* How long the program waits at its end for a reader that is behind. One that hangs must
	 * not delay it longer. */
	LOG_FLUSH_MS = 1000,
};

#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, LOG_FIELDS(__VA_ARGS__))
#define log_warning(event, ...) log_event(LOG_LEVEL_WARNING, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_event(LOG_LEVEL_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))

/* Drops lines less severe than @level. To be called once, before other threads start. */
void log_set_level(enum log_level level);

/* Starts the writer. To be called before the threads that log. Returns 0 or a negative errno. */
_must_check_ int log_start(void);

/* Stops the writer once it has written what is queued, or after LOG_FLUSH_MS and a moment; what is
 * left then is lost. To be called when no other thread logs any more. Does nothing without a
 * writer. */
void log_stop(void);

/* Logs one line. Fields with an empty text are left out. A line that is too long is cut. */
void log_event(enum log_level level, const char *event, const struct log_field *fields,
	       size_t n_fields);
