/* SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log-writer.h"

enum log_way {
	LOG_WAY_DIRECT, /* no writer: the thread that logs a line writes it */
	LOG_WAY_QUEUED,
	LOG_WAY_SHUT, /* the writer hangs: writing would block any other thread too */
};

static const char *const area_names[] = {
#define X(id, name) [LOG_AREA_##id] = name,
	LOG_AREAS(X)
#undef X
};

static _Atomic int log_thresholds[LOG_AREA_COUNT] = {
#define X(id, name) [LOG_AREA_##id] = LOG_LEVEL_INFO,
	LOG_AREAS(X)
#undef X
};

/* Changed only while a single thread logs. */
static enum log_way log_way;
static struct log_style log_style;
static struct log_writer log_writer;
static char log_queue_bytes[LOG_QUEUE_MAX];
static char log_path[PATH_MAX];

int log_area_parse(struct sv name, enum log_area *ret_area)
{
	for (int i = 0; i < LOG_AREA_COUNT; i++) {
		if (sv_eq(name, sv_from(area_names[i]))) {
			*ret_area = (enum log_area)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_area_level(enum log_area area, enum log_level level)
{
	atomic_store_explicit(&log_thresholds[area], (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_area area, enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_thresholds[area], memory_order_relaxed);
}

/* Whether standard error goes to systemd's journal: systemd.exec(5), $JOURNAL_STREAM. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat stat;

	if (!stream || fstat(STDERR_FILENO, &stat) < 0) {
		return false;
	}
	snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)stat.st_dev,
		 (unsigned long long)stat.st_ino);
	return strcmp(own, stream) == 0;
}

static enum log_frame choose_frame(enum log_place place)
{
	if (place == LOG_PLACE_SYSLOG) {
		return LOG_FRAME_SYSLOG;
	}
	return place == LOG_PLACE_STDERR && is_journal() ? LOG_FRAME_JOURNAL : LOG_FRAME_PLAIN;
}

int log_start(const struct log_options *options)
{
	struct log_style style = {options->format, choose_frame(options->place)};
	struct log_sink sink;
	size_t n = options->path ? strlen(options->path) : 0;

	if (n >= sizeof(log_path)) {
		return -ENAMETOOLONG;
	}
	if (n) {
		memcpy(log_path, options->path, n);
	}
	log_path[n] = '\0';
	int r = log_sink_open(options->place, log_path, &sink);

	if (r == 0) {
		r = log_writer_start(&log_writer, &sink, &style, log_queue_bytes, LOG_QUEUE_MAX);
	}
	if (r == 0) {
		log_style = style;
		log_way = LOG_WAY_QUEUED;
	}
	return r;
}

void log_set_format(enum log_format format)
{
	log_style.format = format;
	if (log_way == LOG_WAY_QUEUED) {
		log_writer_set_style(&log_writer, &log_style);
	}
}

void log_reopen(void)
{
	if (log_way == LOG_WAY_QUEUED) {
		log_writer_reopen(&log_writer);
	}
}

uint64_t log_lost(void)
{
	return log_way == LOG_WAY_QUEUED ? log_writer_lost(&log_writer) : 0;
}

void log_stop(void)
{
	if (log_way == LOG_WAY_QUEUED) {
		bool is_done = log_writer_stop(&log_writer, LOG_FLUSH_MS);

		log_way = is_done ? LOG_WAY_DIRECT : LOG_WAY_SHUT;
		log_style = (struct log_style){0};
	}
}

static void write_direct(const struct log_line *line)
{
	/* There is nowhere to report that the log cannot be written. */
	ssize_t ignored = write(STDERR_FILENO, line->data, line->n);

	(void)ignored;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
	       size_t n_fields)
{
	struct log_line line;

	if (log_way == LOG_WAY_SHUT) {
		return;
	}
	log_line_format(&line, &log_style, level, event, fields, n_fields);
	if (log_way == LOG_WAY_QUEUED) {
		log_writer_push(&log_writer, (struct sv){line.data, line.n});
	} else {
		write_direct(&line);
	}
}
