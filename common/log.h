/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The log: one line per event, made of key=value fields:
 *
 *     time=2026-01-31T12:00:00.123Z level=info event=session-open client=192.0.2.7 sid=Zk3p
 *
 * Values are quoted and escaped here where necessary, so text from a peer cannot forge a line.
 * Never log a password, a SASL payload or a whole sid. Any thread may log.
 *
 * area  a part of the program whose level can be set by itself. A source file names its area before
 *       its first include:
 *
 *           #define LOG_AREA LOG_AREA_BOSH
 *
 * Between log_start() and log_stop() a separate thread writes the lines (log-writer.h), so that
 * logging never blocks. Before and after that, log_event() writes them to standard error itself.
 */
#include "common/log-line.h"
#include "common/log-sink.h"

#define LOG_AREAS(X)              \
	X(MAIN, "main")           \
	X(LISTENER, "listener")   \
	X(HTTP, "http")           \
	X(ADMISSION, "admission") \
	X(SESSION, "session")     \
	X(BOSH, "bosh")           \
	X(WEBSOCKET, "websocket") \
	X(DNS, "dns")             \
	X(DIAL, "dial")           \
	X(TLS, "tls")             \
	X(STREAM, "stream")       \
	X(ADMIN, "admin")

enum log_area {
#define X(id, name) LOG_AREA_##id,
	LOG_AREAS(X) LOG_AREA_COUNT
#undef X
};

#ifndef LOG_AREA
#define LOG_AREA LOG_AREA_MAIN
#endif

enum {
	/* Bytes of lines that wait for a slow reader: about 7,000 lines, some seconds of a busy
	 * gateway. Bounded, because a reader that has stopped for good must not use up the
	 * memory. */
	LOG_QUEUE_MAX = 1024 * 1024,
	/* How long the program waits at its end for a reader that is behind. One that hangs must
	 * not delay it longer. */
	LOG_FLUSH_MS = 1000,
};

struct log_options {
	enum log_place place;
	const char *path; /* of the file or the daemon's socket; copied */
	enum log_format format;
};

/* The arguments are evaluated only if the line is logged. */
#define log_event_in(area, level, event, ...) \
	(log_is_on(area, level) ? log_write(level, event, __VA_ARGS__) : (void)0)
#define log_event(level, event, ...) log_event_in(LOG_AREA, level, event, __VA_ARGS__)

#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, LOG_FIELDS(__VA_ARGS__))
#define log_warning(event, ...) log_event(LOG_LEVEL_WARNING, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_event(LOG_LEVEL_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))
#define log_debug_in(area, event, ...) \
	log_event_in(area, LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))

/* Returns 0, or -EINVAL when @name is not an area. */
_must_check_ int log_area_parse(struct sv name, enum log_area *ret_area);

/* Drops lines of @area that are less severe than @level. Thread-safe. */
void log_set_area_level(enum log_area area, enum log_level level);

/* Whether a line of that area and level is logged. Thread-safe. */
bool log_is_on(enum log_area area, enum log_level level);

/* Opens the place and starts the writer. If standard error goes to systemd's journal
 * (JOURNAL_STREAM), its lines have a priority and no time. To be called before the threads that
 * log. Returns 0 or a negative errno. */
_must_check_ int log_start(const struct log_options *options);

/* Changes the format. To be called while no other thread logs. */
void log_set_format(enum log_format format);

/* Has the writer open its file or socket anew, as after the file was renamed. Nothing waits for it:
 * lines that are logged from now on go into the new file. Thread-safe. */
void log_reopen(void);

/* The number of lines that were lost because the reader was behind. Thread-safe. */
uint64_t log_lost(void);

/* Stops the writer once it has written what is queued, or after LOG_FLUSH_MS and a moment; what is
 * left then is lost. To be called when no other thread logs any more. Does nothing without a
 * writer. */
void log_stop(void);

/* Logs one line; use log_event(). Fields with an empty text are left out. A line that is too long
 * is cut. */
void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t n_fields);
