/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log-writer.h"

enum {
	RING = 16 * 1024,
	/* Long enough for a very slow machine. */
	PATIENCE_MS = 20000,
};

enum { N_TESTS_MAX = 16 };

/* Each test has its own, because a thread that hangs is left behind and still uses them. */
static struct log_writer writers[N_TESTS_MAX];
static char rings[N_TESTS_MAX][RING];
static struct log_writer *writer = writers;
static char *ring = rings[0];

static int next_writer(void **state)
{
	(void)state;
	writer++;
	ring += RING;
	return writer < writers + N_TESTS_MAX ? 0 : -1;
}

static void push(const char *text)
{
	log_writer_push(writer, sv_from(text));
}

static int start(int fd)
{
	static const struct log_style style;
	const struct log_sink sink = {.place = LOG_PLACE_STDERR, .fd = fd};

	return log_writer_start(writer, &sink, &style, ring, RING);
}

/* Reads @n bytes, or fewer if no more arrive within PATIENCE_MS. */
static size_t read_bytes(int fd, char *ret_bytes, size_t n)
{
	size_t n_read = 0;
	struct pollfd in = {.fd = fd, .events = POLLIN};

	while (n_read < n && poll(&in, 1, PATIENCE_MS) == 1) {
		ssize_t r = read(fd, ret_bytes + n_read, n - n_read);

		if (r <= 0) {
			break;
		}
		n_read += (size_t)r;
	}
	return n_read;
}

/* The next line without its newline. The buffer is large enough for any line here. */
static const char *read_line(int fd)
{
	static char line[LOG_LINE_MAX + 1];
	size_t n = 0;

	while (n < sizeof(line) && read_bytes(fd, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = '\0';
			return line;
		}
		n++;
	}
	fail_msg("no line");
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_order(void **state)
{
	int fds[2];
	char bytes[32];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(start(fds[1]), 0);
	push("one\n");
	assert_int_equal(read_bytes(fds[0], bytes, 4), 4);
	push("two\n");
	push("three\n");
	assert_true(log_writer_stop(writer, PATIENCE_MS));
	close(fds[1]);
	assert_int_equal(read_bytes(fds[0], bytes + 4, sizeof(bytes) - 4), 10);
	assert_memory_equal(bytes, "one\ntwo\nthree\n", 14);
	close(fds[0]);
}

enum {
	N_THREADS = 8,
	N_LINES = 500,
};

static void *push_many(void *argument)
{
	char filling[200];

	memset(filling, 'a', sizeof(filling));
	for (int i = 0; i < N_LINES; i++) {
		char text[256];

		snprintf(text, sizeof(text), "%c %d %.*s\n", *(const char *)argument, i, i % 200,
			 filling);
		push(text);
	}
	return NULL;
}

/* The lines of each thread are complete and in order, and each is either written or counted. */
static void test_threads(void **state)
{
	static char names[N_THREADS] = "ABCDEFGH";
	pthread_t threads[N_THREADS];
	int last[N_THREADS];
	unsigned n_seen = 0;
	unsigned n_lost = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(start(fds[1]), 0);
	for (int i = 0; i < N_THREADS; i++) {
		last[i] = -1;
		assert_int_equal(pthread_create(&threads[i], NULL, push_many, &names[i]), 0);
	}
	while (n_seen + n_lost < N_THREADS * N_LINES) {
		const char *line = read_line(fds[0]);
		const char *loss = strstr(line, " level=error event=log-lost n=");

		if (loss) {
			n_lost += (unsigned)strtoul(strrchr(loss, '=') + 1, NULL, 10);
			continue;
		}
		assert_in_range(line[0], 'A', 'H');
		char *rest;
		int number = (int)strtol(line + 2, &rest, 10);

		assert_int_equal(*rest, ' ');
		assert_int_equal(strspn(rest + 1, "a"), number % 200);
		assert_int_equal(strlen(rest + 1), number % 200);
		assert_true(number > last[line[0] - 'A']);
		last[line[0] - 'A'] = number;
		n_seen++;
	}
	assert_int_equal(n_seen + n_lost, N_THREADS * N_LINES);
	for (int i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	assert_true(log_writer_stop(writer, PATIENCE_MS));
	close(fds[0]);
	close(fds[1]);
}

/* Whether the writer has taken all lines from the queue. It may not have written them. */
static void wait_until_taken(void)
{
	size_t n = 1;

	for (int waited_ms = 0; n; waited_ms++) {
		assert_true(waited_ms < PATIENCE_MS);
		usleep(1000);
		pthread_mutex_lock(&writer->mutex);
		n = writer->queue.n;
		pthread_mutex_unlock(&writer->mutex);
	}
}

/* Pushing never blocks. When the reader is back, lost lines are reported where they are missing. */
static void test_stuck_reader(void **state)
{
	enum { N = 20000 };
	static char filling[4096];
	unsigned next = 0;
	unsigned n_lost = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, sizeof(filling)), sizeof(filling));
	assert_int_equal(write(fds[1], filling, sizeof(filling)), sizeof(filling));
	assert_int_equal(start(fds[1]), 0);
	push("first\n");
	wait_until_taken();
	for (unsigned i = 0; i < N; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%u\n", i);
		push(text);
	}
	assert_int_equal(read_bytes(fds[0], filling, sizeof(filling)), sizeof(filling));
	assert_string_equal(read_line(fds[0]), "first");
	while (n_lost == 0) {
		const char *line = read_line(fds[0]);
		const char *loss = strstr(line, " level=error event=log-lost n=");

		if (loss) {
			n_lost = (unsigned)strtoul(strrchr(loss, '=') + 1, NULL, 10);
		} else {
			assert_int_equal(strtoul(line, NULL, 10), next);
			next++;
		}
	}
	/* The ring holds 3,498 of these lines: of 2 to 5 bytes. */
	assert_int_equal(next, 3498);
	assert_int_equal(next + n_lost, N);
	push("back\n");
	assert_string_equal(read_line(fds[0]), "back");
	assert_true(log_writer_stop(writer, PATIENCE_MS));
	close(fds[0]);
	close(fds[1]);
}

static void test_stop_with_a_stuck_reader(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	/* Less than the ring has. */
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	assert_int_equal(start(fds[1]), 0);
	for (int i = 0; i < 10000; i++) {
		push("0123456789\n");
	}
	int64_t started = now_ms();

	assert_false(log_writer_stop(writer, 300));
	assert_true(now_ms() - started < PATIENCE_MS);
	close(fds[0]);
	close(fds[1]);
}

/* Fills the terminal, then reads from it until poll(2) reports that it can be written. */
static void leave_little_room(int master, int terminal)
{
	struct pollfd out = {.fd = terminal, .events = POLLOUT};
	char bytes[256] = {0};

	assert_int_equal(fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
	while (write(terminal, bytes, sizeof(bytes)) > 0) {
	}
	assert_int_equal(fcntl(terminal, F_SETFL, 0), 0);
	while (poll(&out, 1, 0) == 0) {
		assert_true(read(master, bytes, sizeof(bytes)) > 0);
	}
}

/* A terminal accepts a part of a write and then blocks, so the thread cannot notice that it has to
 * stop. */
static void test_stop_with_a_hanging_write(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);

	assert_true(terminal >= 0);
	leave_little_room(master, terminal);
	assert_int_equal(start(terminal), 0);
	for (int i = 0; i < 10000; i++) {
		push("0123456789\n");
	}
	int64_t started = now_ms();

	assert_false(log_writer_stop(writer, 300));
	assert_true(now_ms() - started < PATIENCE_MS);
	/* The thread would find another's lines and locks. */
	assert_int_equal(start(terminal), -EBUSY);
}

/* Lines that cannot be written are kept, and written as soon as that is possible. */
static void test_full_disk(void **state)
{
	char name[] = "/tmp/doab-log-XXXXXX";
	char bytes[16] = {0};
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(start(fd), 0);
	push("one\n");
	push("two\n");
	usleep(100000);
	int file = mkstemp(name);

	assert_true(file >= 0);
	assert_true(dup2(file, fd) >= 0);
	for (int waited_ms = 0; lseek(file, 0, SEEK_END) < 8; waited_ms += 10) {
		assert_true(waited_ms < PATIENCE_MS);
		usleep(10000);
	}
	assert_int_equal(pread(file, bytes, sizeof(bytes), 0), 8);
	assert_string_equal(bytes, "one\ntwo\n");
	assert_true(log_writer_stop(writer, PATIENCE_MS));
	close(file);
	close(fd);
	unlink(name);
}

/* When a file accepts only a part of a line, the rest follows, byte for byte. */
static void test_written_in_part(void **state)
{
	char name[] = "/tmp/doab-log-XXXXXX";
	char bytes[32] = {0};
	int fd = mkstemp(name);
	struct rlimit before;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){6, before.rlim_max}), 0);
	assert_int_equal(start(fd), 0);
	push("one\n");
	push("two\n");
	push("three\n");
	for (int waited_ms = 0; lseek(fd, 0, SEEK_END) < 6; waited_ms += 10) {
		assert_true(waited_ms < PATIENCE_MS);
		usleep(10000);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(log_writer_stop(writer, PATIENCE_MS));
	assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), 14);
	assert_string_equal(bytes, "one\ntwo\nthree\n");
	close(fd);
	unlink(name);
}

/* When the reader is gone for good, there is no SIGPIPE, and stopping does not wait. */
static void test_gone_reader(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(start(fds[1]), 0);
	push("one\n");
	usleep(100000);
	int64_t started = now_ms();

	assert_false(log_writer_stop(writer, 2 * PATIENCE_MS));
	assert_true(now_ms() - started < PATIENCE_MS);
	close(fds[1]);
}

/* The writer's thread does not receive signals that another thread waits for. */
static void test_signals(void **state)
{
	const struct timespec patience = {.tv_sec = PATIENCE_MS / 1000};
	sigset_t usr1;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(start(fds[1]), 0);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	kill(getpid(), SIGUSR1);
	assert_int_equal(sigtimedwait(&usr1, NULL, &patience), SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	assert_true(log_writer_stop(writer, PATIENCE_MS));
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, next_writer),
		cmocka_unit_test_setup(test_threads, next_writer),
		cmocka_unit_test_setup(test_stuck_reader, next_writer),
		cmocka_unit_test_setup(test_stop_with_a_stuck_reader, next_writer),
		cmocka_unit_test_setup(test_stop_with_a_hanging_write, next_writer),
		cmocka_unit_test_setup(test_full_disk, next_writer),
		cmocka_unit_test_setup(test_written_in_part, next_writer),
		cmocka_unit_test_setup(test_gone_reader, next_writer),
		cmocka_unit_test_setup(test_signals, next_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
