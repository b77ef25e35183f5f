/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One line an event, to stderr, all of it key=value:
 *
 *     time=2026-01-31T12:00:00.123Z level=info event=session-open client=192.0.2.7 sid=Zk3p domain=example.org
 *
 * Values that came from a peer are quoted and escaped here, so no caller can forge a line. Never
 * give it a password, a SASL payload or a whole sid. May be called from every thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

#define LOG_LEVELS(X)                                                                              \
	X(ERROR, "error")                                                                          \
	X(WARNING, "warning")                                                                      \
	X(INFO, "info")                                                                            \
	X(DEBUG, "debug")

enum log_level {
#define X(id, name) LOG_LEVEL_##id,
	LOG_LEVELS(X)
#undef X
	LOG_LEVEL_COUNT
};

struct log_field {
	const char *key;
	struct sv text;
	int64_t number; /* printed when text.data is NULL */
};

/* A text that is not there (NULL) is an empty one, not the number 0. */
static inline struct sv log_text(struct sv view)
{
	return view.data ? view : SV("");
}

#define LOG_SV(key_, view_) ((struct log_field){.key = (key_), .text = log_text(view_)})
#define LOG_STR(key_, cstring_) LOG_SV(key_, sv_from(cstring_))
#define LOG_NUMBER(key_, number_) ((struct log_field){.key = (key_), .number = (int64_t)(number_)})

#define LOG_FIELDS(...)                                                                            \
	(const struct log_field[]){__VA_ARGS__},                                                   \
		sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)

#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, LOG_FIELDS(__VA_ARGS__))
#define log_warning(event, ...) log_event(LOG_LEVEL_WARNING, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_event(LOG_LEVEL_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_debug(event, ...) log_event(LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))

const char *log_level_name(enum log_level level);

/* Returns 0, or -EINVAL when @name is no level. */
_must_check_ int log_level_parse(struct sv name, enum log_level *ret_level);

/* What is below @level is not printed. Once, before threads start. */
void log_set_level(enum log_level level);

/* Writes one line. Fields with an empty text are left out. A line too long is cut, never split. */
void log_event(enum log_level level, const char *event, const struct log_field *fields,
	       size_t n_fields);
