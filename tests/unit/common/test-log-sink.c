/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log-sink.h"
#include "common/log-writer.h"

enum {
	PATIENCE_MS = 20000,
	RING = 16 * 1024,
};

static char folder[] = "/tmp/doab-log-sink-XXXXXX";
static char path[64], renamed[64], socket_path[64];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder)) {
		return -1;
	}
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(renamed, sizeof(renamed), "%s/log.1", folder);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	unlink(renamed);
	unlink(socket_path);
	return rmdir(folder);
}

static void assert_file(const char *name, const char *expected)
{
	char text[256] = {0};
	FILE *file = fopen(name, "r");

	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) < sizeof(text) - 1);
	fclose(file);
	assert_string_equal(text, expected);
}

static void write_line(struct log_sink *sink, const char *text)
{
	assert_int_equal(log_sink_write(sink, sv_from(text), PATIENCE_MS), strlen(text));
}

static void test_file(void **state)
{
	struct log_sink sink;
	struct stat stat_of;

	(void)state;
	assert_int_equal(log_sink_open(LOG_PLACE_FILE, "/dev/null/no", &sink), -ENOTDIR);
	assert_int_equal(log_sink_open(LOG_PLACE_FILE, path, &sink), 0);
	assert_int_equal(stat(path, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 0007, 0);
	write_line(&sink, "one\n");
	assert_int_equal(rename(path, renamed), 0);
	write_line(&sink, "two\n");
	assert_int_equal(log_sink_reopen(&sink), 0);
	write_line(&sink, "three\n");
	assert_file(renamed, "one\ntwo\n");
	assert_file(path, "three\n");

	/* The new one cannot be opened: the former one stays in use. */
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(log_sink_reopen(&sink), -EISDIR);
	write_line(&sink, "four\n");
	rmdir(path);
	log_sink_close(&sink);
	log_sink_close(&sink);
	unlink(renamed);
}

/* The same through the thread, with a line half of which the former file has. */
static void test_writer_reopens(void **state)
{
	static struct log_writer writer;
	static char ring[RING];
	static const struct log_style style = {LOG_FORMAT_LOGFMT, LOG_FRAME_JOURNAL};
	struct log_sink sink;

	(void)state;
	assert_int_equal(log_sink_open(LOG_PLACE_FILE, path, &sink), 0);
	assert_int_equal(log_writer_start(&writer, &sink, &style, ring, RING), 0);
	log_writer_push(&writer, SV("one\n"));
	while (stat(path, &(struct stat){0}) == 0 && access(renamed, F_OK) != 0) {
		struct stat stat_of;

		assert_int_equal(stat(path, &stat_of), 0);
		if (stat_of.st_size == 4) {
			assert_int_equal(rename(path, renamed), 0);
		}
	}
	log_writer_reopen(&writer);
	log_writer_push(&writer, SV("two\n"));
	assert_true(log_writer_stop(&writer, PATIENCE_MS));
	assert_file(renamed, "one\n");
	assert_file(path, "two\n");
	unlink(renamed);

	/* And where it fails, the log says so. */
	assert_int_equal(log_sink_open(LOG_PLACE_FILE, path, &sink), 0);
	sink.path = "/dev/null/no";
	assert_int_equal(log_writer_start(&writer, &sink, &style, ring, RING), 0);
	log_writer_reopen(&writer);
	assert_true(log_writer_stop(&writer, PATIENCE_MS));
	assert_file(path, "two\n<3>level=error event=log-reopen-failed file=/dev/null/no "
			  "error=\"Not a directory\"\n");
}

static int daemon_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	unlink(socket_path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void assert_datagram(int fd, const char *expected)
{
	char text[64] = {0};

	assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), strlen(expected));
	assert_string_equal(text, expected);
}

/* The daemon starts later than the log, and again while it runs. */
static void test_daemon(void **state)
{
	struct log_sink sink;

	(void)state;
	assert_int_equal(log_sink_open(LOG_PLACE_SYSLOG, socket_path, &sink), 0);
	assert_int_equal(log_sink_write(&sink, SV("one\n"), PATIENCE_MS), -ENOTCONN);
	int fd = daemon_open();

	assert_int_equal(log_sink_write(&sink, SV("one\ntwo\n"), PATIENCE_MS), 4);
	write_line(&sink, "two\n");
	assert_datagram(fd, "one");
	assert_datagram(fd, "two");
	close(fd);
	assert_true(log_sink_write(&sink, SV("three\n"), PATIENCE_MS) < 0);
	fd = daemon_open();
	write_line(&sink, "three\n");
	assert_datagram(fd, "three");
	close(fd);
	log_sink_close(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_writer_reopens),
		cmocka_unit_test(test_daemon),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
