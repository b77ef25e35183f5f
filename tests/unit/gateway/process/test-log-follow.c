/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/process/log-follow.h"

static char directory[40];
static char folder[64], path[80];

static struct control_message ready(void)
{
	struct control_message message = {.kind = CONTROL_READY, .is_given = LOG_PLACE_FILE};

	snprintf(message.place.name, sizeof(message.place.name), "%s", path);
	return message;
}

static bool has_line(const char *text)
{
	char line[200];
	FILE *file = fopen(path, "re");
	bool found = false;

	while (file && fgets(line, sizeof(line), file)) {
		found = found || strstr(line, text);
	}
	if (file) {
		fclose(file);
	}
	return found;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/doab-log-follow-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(folder, sizeof(folder), "%s/later", directory);
	snprintf(path, sizeof(path), "%s/log", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_stop();
	(void)unlink(path);
	(void)rmdir(folder);
	(void)rmdir(directory);
	return 0;
}

/* Follows the log into a folder that is not there. */
static void begin(struct log_follow *follow)
{
	const struct control_message message = ready();

	assert_int_equal(log_follow_start(follow), 0);
	assert_int_equal(log_follow_retry(follow, (struct mono){0}), -1);
	log_follow_obey(follow, &message, (struct mono){0});
	assert_int_equal(mkdir(folder, 0700), 0);
}

/* It is tried again, but not before it is time. */
static void test_retried(void **state)
{
	struct log_follow follow;

	(void)state;
	begin(&follow);
	assert_int_equal(log_follow_retry(&follow, (struct mono){LOG_FOLLOW_RETRY_S * 1000 - 1}),
			 1);
	log_info("early", LOG_NUMBER("n", 1));
	assert_int_equal(log_follow_retry(&follow, (struct mono){LOG_FOLLOW_RETRY_S * 1000}), -1);
	log_info("late", LOG_NUMBER("n", 1));
	log_stop();
	assert_false(has_line("early"));
	assert_true(has_line("late"));
}

/* Each failure waits anew. */
static void test_bounded(void **state)
{
	struct log_follow follow;

	(void)state;
	begin(&follow);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(log_follow_retry(&follow, (struct mono){LOG_FOLLOW_RETRY_S * 1000}),
			 LOG_FOLLOW_RETRY_S * 1000);
}

/* A reload tries at once, and so does a new server with the same log. */
static void test_reload(void **state)
{
	struct log_follow follow;

	(void)state;
	begin(&follow);
	log_follow_reopen(&follow, (struct mono){1});
	log_info("reloaded", LOG_NUMBER("n", 1));
	log_stop();
	assert_true(has_line("reloaded"));
}

static void test_upgrade(void **state)
{
	const struct control_message message = ready();
	struct log_follow follow;

	(void)state;
	begin(&follow);
	log_follow_obey(&follow, &message, (struct mono){1});
	log_info("upgraded", LOG_NUMBER("n", 1));
	log_stop();
	assert_true(has_line("upgraded"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_retried, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_upgrade, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
