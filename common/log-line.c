/* SPDX-License-Identifier: MIT */
#include "common/log-line.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"

enum {
	NUMBER_MAX = 24, /* of 64 bits, in decimal */
	TIME_MAX = 40,
	JSON_END_MAX = sizeof(",\"cut\":true}") - 1,
};

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

/* The text of @field; of a number its digits, written to @number. */
static struct sv field_text(const struct log_field *field, char number[static NUMBER_MAX])
{
	if (field->text.data) {
		return sv_first(field->text, LOG_VALUE_MAX);
	}
	int n = snprintf(number, NUMBER_MAX, "%lld", (long long)field->number);

	return (struct sv){number, (size_t)n};
}

static void line_put_logfmt(struct log_line *line, const char *key, struct sv value)
{
	if (line->n_frame != line->n) {
		line_put(line, SV(" "));
	}
	line_put(line, sv_from(key));
	line_put(line, SV("="));
	if (is_plain(value)) {
		line_put(line, value);
	} else {
		line_put_quoted(line, value);
	}
}

/* JSON. */

static void line_put_json_string(struct log_line *line, struct sv text)
{
	line_put(line, SV("\""));
	while (text.n) {
		char form[JSON_CHARACTER_MAX];
		size_t n = json_character(&text, form);

		line_put(line, (struct sv){form, n});
	}
	line_put(line, SV("\""));
}

/* A member that does not fit is left out as a whole, so that the line stays valid. */
static void line_put_json(struct log_line *line, const char *key, struct sv value, bool is_number)
{
	size_t n_before = line->n;

	line_put(line, line->n == line->n_frame ? SV("{\"") : SV(",\""));
	line_put(line, sv_from(key));
	line_put(line, SV("\":"));
	if (is_number) {
		line_put(line, value);
	} else {
		line_put_json_string(line, value);
	}
	if (line->n > LOG_LINE_MAX - 1 - JSON_END_MAX) {
		line->n = n_before;
		line->is_cut = true;
	}
}

static void line_end_json(struct log_line *line)
{
	line_put(line, line->is_cut ? SV(",\"cut\":true}") : SV("}"));
}

/* Lines. */

static void line_put_field(struct log_line *line, enum log_format format,
			   const struct log_field *field)
{
	char number[NUMBER_MAX];
	struct sv value = field_text(field, number);

	if (value.n == 0) {
		return;
	}
	if (format == LOG_FORMAT_JSON) {
		line_put_json(line, field->key, value, !field->text.data);
	} else {
		line_put_logfmt(line, field->key, value);
	}
}

static void line_put_string(struct log_line *line, enum log_format format, const char *key,
			    const char *value)
{
	line_put_field(line, format, &LOG_STR(key, value));
}

static void line_put_time(struct log_line *line, enum log_format format)
{
	struct timespec now;
	struct tm tm;
	char text[TIME_MAX];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(now.tv_nsec / 1000000));
	line_put_string(line, format, "time", text);
}

static int priority_of(enum log_level level)
{
	static const int priorities[] = {
		[LOG_LEVEL_ERROR] = LOG_ERR,
		[LOG_LEVEL_WARNING] = LOG_WARNING,
		[LOG_LEVEL_INFO] = LOG_INFO,
		[LOG_LEVEL_DEBUG] = LOG_DEBUG,
	};

	return priorities[level];
}

/* The form that the C library's syslog(3) sends (RFC 3164). */
static void line_put_syslog(struct log_line *line, enum log_level level)
{
	time_t now = time(NULL);
	struct tm tm;
	char when[TIME_MAX];
	char text[2 * TIME_MAX];

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%h %e %T", &tm);
	int n = snprintf(text, sizeof(text), "<%d>%s doab[%d]: ", LOG_DAEMON | priority_of(level),
			 when, (int)getpid());

	line_put(line, (struct sv){text, (size_t)n});
}

static void line_put_frame(struct log_line *line, enum log_frame frame, enum log_level level)
{
	char text[TIME_MAX];

	if (frame == LOG_FRAME_SYSLOG) {
		line_put_syslog(line, level);
	} else if (frame == LOG_FRAME_JOURNAL) {
		int n = snprintf(text, sizeof(text), "<%d>", priority_of(level));

		line_put(line, (struct sv){text, (size_t)n});
	}
}

void log_line_format(struct log_line *line, const struct log_style *style, enum log_level level,
		     const char *event, const struct log_field *fields, size_t n_fields)
{
	enum log_format format = style->format;

	line->n = 0;
	line->is_cut = false;
	line_put_frame(line, style->frame, level);
	line->n_frame = line->n;
	if (style->frame == LOG_FRAME_PLAIN) {
		line_put_time(line, format);
	}
	line_put_string(line, format, "level", log_level_name(level));
	line_put_string(line, format, "event", event);
	for (size_t i = 0; i < n_fields; i++) {
		line_put_field(line, format, &fields[i]);
	}
	if (format == LOG_FORMAT_JSON) {
		line_end_json(line);
	}
	assert(line->n < LOG_LINE_MAX);
	line->data[line->n++] = '\n';
}
