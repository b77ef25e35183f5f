/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One line an event, to stderr, all of it key=value:
 *
 *     time=2026-01-31T12:00:00.123Z level=info event=session-open client=192.0.2.7 sid=Zk3p domain=example.org
 *
 * Values that came from a peer are quoted and escaped here, so no caller can forge a line. Never
 * give it a password, a SASL payload or a whole sid. May be called from every thread.
 *
 * Between log_start() and log_stop() a separate thread writes the lines (log-writer.h), so that
 * logging never blocks. Before and after that, log_event() writes them itself.
 */
#include "common/log-line.h"

enum {
	/* Lines that wait for a slow reader: about 7,000, some seconds of a busy gateway. Bounded
	 * because a reader that never comes back must not use up the memory. */
	LOG_QUEUE_MAX = 1024 * 1024,
	/* How long the end of the program waits for a reader that is behind. One that hangs must
	 * not delay it further. */
	LOG_FLUSH_MS = 1000,
};

#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, LOG_FIELDS(__VA_ARGS__))
#define log_warning(event, ...) log_event(LOG_LEVEL_WARNING, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_event(LOG_LEVEL_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))

/* What is below @level is not printed. Once, before threads start. */
void log_set_level(enum log_level level);

/* Starts the writer. To be called before the threads that log. Returns 0 or a negative errno. */
_must_check_ int log_start(void);

/* Stops the writer once it has written what is queued, or after LOG_FLUSH_MS and a moment; what is
 * left then is lost. To be called when no other thread logs any more. Does nothing without a
 * writer. */
void log_stop(void);

/* Logs one line. Fields with an empty text are left out. A line too long is cut, never split. */
void log_event(enum log_level level, const char *event, const struct log_field *fields,
	       size_t n_fields);
