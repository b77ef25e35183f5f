/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The text of one log line: levels, fields, and the function that formats them into the caller's
 * memory. It allocates nothing.
 *
 * format  how the fields are written
 *             logfmt  level=info event=session-open client=192.0.2.7
 *             JSON    {"level":"info","event":"session-open","client":"192.0.2.7"}
 * frame   what stands before them
 *             plain    the time, as the first field: time=2026-01-31T12:00:00.123Z
 *             journal  the priority: "<6>". systemd's journal reads it and notes the time itself
 *             syslog   priority, local time, name and process: "<30>Jan 31 12:00:00 doab[42]: "
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

#define LOG_LEVELS(X)         \
	X(ERROR, "error")     \
	X(WARNING, "warning") \
	X(INFO, "info")       \
	X(DEBUG, "debug")

enum log_level {
#define X(id, name) LOG_LEVEL_##id,
	LOG_LEVELS(X) LOG_LEVEL_COUNT
#undef X
};

#define LOG_FORMATS(X)      \
	X(LOGFMT, "logfmt") \
	X(JSON, "json")

enum log_format {
#define X(id, name) LOG_FORMAT_##id,
	LOG_FORMATS(X) LOG_FORMAT_COUNT
#undef X
};

enum log_frame {
	LOG_FRAME_PLAIN,
	LOG_FRAME_JOURNAL,
	LOG_FRAME_SYSLOG,
};

struct log_style {
	enum log_format format;
	enum log_frame frame;
};

struct log_field {
	const char *key;
	struct sv text;
	int64_t number; /* printed when text.data is NULL */
};

/* Makes NULL an empty text. Otherwise the field would be printed as the number 0. */
static inline struct sv log_text(struct sv view)
{
	return view.data ? view : SV("");
}

#define LOG_SV(key_, view_) ((struct log_field){.key = (key_), .text = log_text(view_)})
#define LOG_STR(key_, cstring_) LOG_SV(key_, sv_from(cstring_))
#define LOG_NUMBER(key_, number_) ((struct log_field){.key = (key_), .number = (int64_t)(number_)})

#define LOG_FIELDS(...)                          \
	(const struct log_field[]){__VA_ARGS__}, \
		sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)

enum {
	/* PIPE_BUF: up to this size a write to a pipe is atomic, so lines of several processes do
	 * not mix. */
	LOG_LINE_MAX = 4096,
	/* Longer values are cut, so that one of them cannot crowd out the other fields. */
	LOG_VALUE_MAX = 512,
};

struct log_line {
	char data[LOG_LINE_MAX];
	size_t n;
	size_t n_frame; /* bytes before the first field */
	bool is_cut;    /* a field has been left out */
};

const char *log_level_name(enum log_level level);

/* Returns 0, or -EINVAL when @name is not a level. */
_must_check_ int log_level_parse(struct sv name, enum log_level *ret_level);

/* Formats the whole line into @line. It ends with a newline, the only one in it. What clients sent
 * is escaped: only printable ASCII is left. Fields with an empty text are left out. A line that is
 * too long is cut; of JSON the fields that do not fit are left out, and "cut" is true. */
void log_line_format(struct log_line *line, const struct log_style *style, enum log_level level,
		     const char *event, const struct log_field *fields, size_t n_fields);
