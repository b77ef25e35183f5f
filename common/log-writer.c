/* SPDX-License-Identifier: MIT */
#include "common/log-writer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

/* A longer write could block even though poll(2) reports room in the pipe. */
_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a chunk is one atomic write");

/* The time that a thread that does not hang needs to notice the deadline. */
enum { STOP_SLACK_MS = 5 * LOG_POLL_MS };

static struct timespec time_after(struct timespec time, int ms)
{
	time.tv_sec += ms / 1000;
	time.tv_nsec += ms % 1000 * 1000000L;
	if (time.tv_nsec >= 1000000000L) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000L;
	}
	return time;
}

static struct timespec time_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now;
}

static bool is_too_late(const struct log_writer *writer)
{
	struct timespec now = time_now();

	return writer->is_ending &&
	       (now.tv_sec > writer->deadline.tv_sec ||
		(now.tv_sec == writer->deadline.tv_sec && now.tv_nsec >= writer->deadline.tv_nsec));
}

/* Fills the chunk with the next lines, or with the line that reports lost ones. Returns false when
 * there is nothing to write. */
static bool chunk_fill(struct log_writer *writer)
{
	uint64_t n_lost = log_queue_take_loss(&writer->queue);

	writer->n_written = 0;
	if (n_lost) {
		struct log_line line;

		log_line_format(&line, &writer->style, LOG_LEVEL_ERROR, "log-lost",
				LOG_FIELDS(LOG_NUMBER("n", n_lost)));
		memcpy(writer->chunk, line.data, line.n);
		writer->n_chunk = line.n;
		return true;
	}
	writer->n_chunk = log_queue_take(&writer->queue, writer->chunk, sizeof(writer->chunk));
	return writer->n_chunk > 0;
}

/* Returns 0, even if there was no room to write yet, or a negative errno. */
static int chunk_write(struct log_writer *writer)
{
	struct sv rest = sv_skip((struct sv){writer->chunk, writer->n_chunk}, writer->n_written);
	int n = log_sink_write(&writer->sink, rest, LOG_POLL_MS);

	if (n < 0) {
		return n;
	}
	writer->n_written += (size_t)n;
	return 0;
}

/* A line of which a part is in the former file is written again as a whole. */
static void chunk_rewind(struct log_writer *writer)
{
	const char *newline = memrchr(writer->chunk, '\n', writer->n_written);

	writer->n_written = newline ? (size_t)(newline + 1 - writer->chunk) : 0;
}

static void reopen(struct log_writer *writer)
{
	struct log_line line;

	writer->must_reopen = false;
	pthread_mutex_unlock(&writer->mutex);
	int r = log_sink_reopen(&writer->sink);

	pthread_mutex_lock(&writer->mutex);
	if (r == 0 && writer->sink.place == LOG_PLACE_FILE) {
		chunk_rewind(writer);
	} else if (r < 0) {
		log_line_format(&line, &writer->style, LOG_LEVEL_ERROR, "log-reopen-failed",
				LOG_FIELDS(LOG_STR("file", writer->sink.path),
					   LOG_STR("error", strerror(-r))));
		writer->n_lost += !log_queue_push(&writer->queue, (struct sv){line.data, line.n});
	}
}

/* Waits until the next try is due or the writer has to stop. */
static void pause_after_error(struct log_writer *writer)
{
	struct timespec until = time_after(time_now(), LOG_RETRY_MS);
	int r = 0;

	while (!writer->is_ending && !writer->must_reopen && r == 0) {
		r = pthread_cond_timedwait(&writer->wake, &writer->mutex, &until);
	}
}

/* Returns true with lines in the chunk, or false when the writer has to stop. */
static bool wait_for_lines(struct log_writer *writer)
{
	while (writer->must_reopen ||
	       (writer->n_written == writer->n_chunk && !chunk_fill(writer))) {
		if (writer->must_reopen) {
			reopen(writer);
			continue;
		}
		if (writer->is_ending) {
			return false;
		}
		writer->is_idle = true;
		pthread_cond_wait(&writer->wake, &writer->mutex);
		writer->is_idle = false;
	}
	return !is_too_late(writer);
}

static void *run(void *argument)
{
	struct log_writer *writer = argument;

	pthread_mutex_lock(&writer->mutex);
	while (wait_for_lines(writer)) {
		bool is_last_try = writer->is_ending;

		pthread_mutex_unlock(&writer->mutex);
		int r = chunk_write(writer);

		pthread_mutex_lock(&writer->mutex);
		if (r < 0 && is_last_try) {
			break;
		}
		if (r < 0) {
			pause_after_error(writer);
		}
	}
	writer->is_gone = true;
	pthread_cond_signal(&writer->gone);
	pthread_mutex_unlock(&writer->mutex);
	return NULL;
}

static int start_thread(struct log_writer *writer)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&writer->thread, NULL, run, writer);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static void deinit(struct log_writer *writer)
{
	pthread_cond_destroy(&writer->gone);
	pthread_cond_destroy(&writer->wake);
	pthread_mutex_destroy(&writer->mutex);
	log_sink_close(&writer->sink);
}

int log_writer_start(struct log_writer *writer, const struct log_sink *sink,
		     const struct log_style *style, char *bytes, size_t n_max)
{
	pthread_condattr_t monotonic;

	if (writer->is_left) {
		struct log_sink unused = *sink;

		log_sink_close(&unused);
		return -EBUSY;
	}
	*writer = (struct log_writer){.sink = *sink, .style = *style};
	log_queue_init(&writer->queue, bytes, n_max);
	/* With glibc, none of these can fail. */
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_cond_init(&writer->wake, &monotonic);
	pthread_cond_init(&writer->gone, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = start_thread(writer);

	if (r < 0) {
		deinit(writer);
	}
	return r;
}

void log_writer_push(struct log_writer *writer, struct sv line)
{
	pthread_mutex_lock(&writer->mutex);
	if (!log_queue_push(&writer->queue, line)) {
		writer->n_lost++;
	} else if (writer->is_idle) {
		pthread_cond_signal(&writer->wake);
	}
	pthread_mutex_unlock(&writer->mutex);
}

void log_writer_set_style(struct log_writer *writer, const struct log_style *style)
{
	pthread_mutex_lock(&writer->mutex);
	writer->style = *style;
	pthread_mutex_unlock(&writer->mutex);
}

void log_writer_reopen(struct log_writer *writer)
{
	pthread_mutex_lock(&writer->mutex);
	writer->must_reopen = true;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->mutex);
}

uint64_t log_writer_lost(struct log_writer *writer)
{
	pthread_mutex_lock(&writer->mutex);
	uint64_t n_lost = writer->n_lost;

	pthread_mutex_unlock(&writer->mutex);
	return n_lost;
}

bool log_writer_stop(struct log_writer *writer, int timeout_ms)
{
	int r = 0;

	pthread_mutex_lock(&writer->mutex);
	writer->is_ending = true;
	writer->deadline = time_after(time_now(), timeout_ms);
	struct timespec until = time_after(writer->deadline, STOP_SLACK_MS);

	pthread_cond_signal(&writer->wake);
	while (!writer->is_gone && r == 0) {
		r = pthread_cond_timedwait(&writer->gone, &writer->mutex, &until);
	}
	bool is_gone = writer->is_gone;
	bool is_done = is_gone && writer->queue.n == 0 && writer->n_written == writer->n_chunk;

	pthread_mutex_unlock(&writer->mutex);
	if (is_gone) {
		pthread_join(writer->thread, NULL);
		deinit(writer);
	} else {
		writer->is_left = true;
		pthread_detach(writer->thread);
	}
	return is_done;
}
