/* SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <unistd.h>

#include "common/log-writer.h"

enum log_way {
	LOG_WAY_DIRECT, /* no writer: the thread that logs a line writes it */
	LOG_WAY_QUEUED,
	LOG_WAY_SHUT, /* the writer hangs: writing would block any other thread too */
};

static enum log_level log_threshold = LOG_LEVEL_INFO;
/* Changed only while a single thread logs. */
static enum log_way log_way;
static struct log_writer log_writer;
static char log_queue_bytes[LOG_QUEUE_MAX];

void log_set_level(enum log_level level)
{
	log_threshold = level;
}

int log_start(void)
{
	int r = log_writer_start(&log_writer, STDERR_FILENO, log_queue_bytes, LOG_QUEUE_MAX);

	if (r == 0) {
		log_way = LOG_WAY_QUEUED;
	}
	return r;
}

void log_stop(void)
{
	if (log_way == LOG_WAY_QUEUED) {
		bool is_done = log_writer_stop(&log_writer, LOG_FLUSH_MS);

		log_way = is_done ? LOG_WAY_DIRECT : LOG_WAY_SHUT;
	}
}

static void write_direct(const struct log_line *line)
{
	/* There is nowhere to report that the log cannot be written. */
	ssize_t ignored = write(STDERR_FILENO, line->data, line->n);

	(void)ignored;
}

void log_event(enum log_level level, const char *event, const struct log_field *fields,
	       size_t n_fields)
{
	struct log_line line;

	if (level > log_threshold || log_way == LOG_WAY_SHUT) {
		return;
	}
	log_line_format(&line, level, event, fields, n_fields);
	if (log_way == LOG_WAY_QUEUED) {
		log_writer_push(&log_writer, (struct sv){line.data, line.n});
	} else {
		write_direct(&line);
	}
}
