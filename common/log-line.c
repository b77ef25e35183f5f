/* SPDX-License-Identifier: MIT */
#include "common/log-line.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

static const char *const level_names[] = {
#define X(id, name) [LOG_LEVEL_##id] = name,
	LOG_LEVELS(X)
#undef X
};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(struct sv name, enum log_level *ret_level)
{
	for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
		if (sv_eq(name, sv_from(level_names[i]))) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static void line_put(struct log_line *line, struct sv text)
{
	/* The last byte is reserved for the newline. */
	size_t room = LOG_LINE_MAX - 1 - line->n;

	if (text.n > room) {
		text.n = room;
	}
	if (text.n) {
		memcpy(line->data + line->n, text.data, text.n);
		line->n += text.n;
	}
}

static bool is_plain(struct sv value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
			return false;
		}
	}
	return true;
}

static void line_put_quoted(struct log_line *line, struct sv value)
{
	line_put(line, SV("\""));
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.data[i];

		/* Bytes outside ASCII too: some programs end a line at U+0085 or U+2028, and U+202E
		 * reverses the order of what follows. */
		if (c < ' ' || c >= 0x7f) {
			char hex[5];

			snprintf(hex, sizeof(hex), "\\x%02x", c);
			line_put(line, (struct sv){hex, 4});
			continue;
		}
		if (c == '"' || c == '\\') {
			line_put(line, SV("\\"));
		}
		line_put(line, (struct sv){value.data + i, 1});
	}
	line_put(line, SV("\""));
}

static void line_put_field(struct log_line *line, const struct log_field *field)
{
	char number[24];
	struct sv value = field->text;

	if (!value.data) {
		int n = snprintf(number, sizeof(number), "%lld", (long long)field->number);

		value = (struct sv){number, (size_t)n};
	}
	if (value.n == 0) {
		return;
	}
	line_put(line, SV(" "));
	line_put(line, sv_from(field->key));
	line_put(line, SV("="));
	value = sv_first(value, LOG_VALUE_MAX);
	if (is_plain(value)) {
		line_put(line, value);
	} else {
		line_put_quoted(line, value);
	}
}

static void line_put_time(struct log_line *line)
{
	struct timespec now;
	struct tm tm;
	char text[40];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(text, sizeof(text), "time=%Y-%m-%dT%H:%M:%S", &tm);

	line_put(line, (struct sv){text, n});
	int n_ms = snprintf(text, sizeof(text), ".%03dZ", (int)(now.tv_nsec / 1000000));

	line_put(line, (struct sv){text, (size_t)n_ms});
}

void log_line_format(struct log_line *line, enum log_level level, const char *event,
		     const struct log_field *fields, size_t n_fields)
{
	line->n = 0;
	line_put_time(line);
	line_put(line, SV(" level="));
	line_put(line, sv_from(log_level_name(level)));
	line_put(line, SV(" event="));
	line_put(line, sv_from(event));
	for (size_t i = 0; i < n_fields; i++) {
		line_put_field(line, &fields[i]);
	}
	assert(line->n < LOG_LINE_MAX);
	line->data[line->n++] = '\n';
}
