/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

/* What was written to standard error since capture_begin(). */
static char captured[16384];
static FILE *capture_file;
static int capture_saved = -1;

static void capture_begin(void)
{
	capture_file = tmpfile();
	assert_non_null(capture_file);
	capture_saved = dup(STDERR_FILENO);
	assert_true(capture_saved >= 0);
	assert_true(dup2(fileno(capture_file), STDERR_FILENO) >= 0);
}

static void capture_end(void)
{
	ssize_t n = pread(fileno(capture_file), captured, sizeof(captured) - 1, 0);

	dup2(capture_saved, STDERR_FILENO);
	close(capture_saved);
	fclose(capture_file);
	assert_true(n >= 0);
	captured[n] = '\0';
}

static int start(void)
{
	return log_start(&(struct log_options){.place = LOG_PLACE_STDERR});
}

/* The line after its time. The form of the time is checked. */
static const char *captured_rest(void)
{
	const char *form = "time=dddd-dd-ddTdd:dd:dd.dddZ ";
	size_t n = strlen(form);

	assert_true(strlen(captured) > n);
	for (size_t i = 0; i < n; i++) {
		if (form[i] == 'd') {
			assert_in_range(captured[i], '0', '9');
		} else {
			assert_int_equal(captured[i], form[i]);
		}
	}
	return captured + n;
}

#define ASSERT_LOGGED(expected, call)                           \
	do {                                                    \
		capture_begin();                                \
		call;                                           \
		capture_end();                                  \
		assert_string_equal(captured_rest(), expected); \
	} while (0)

static void test_line(void **state)
{
	(void)state;
	ASSERT_LOGGED(
		"level=info event=ready workers=2 listen=127.0.0.1:5280\n",
		log_info("ready", LOG_NUMBER("workers", 2), LOG_STR("listen", "127.0.0.1:5280")));
	ASSERT_LOGGED("level=error event=e n=-9223372036854775808\n",
		      log_error("e", LOG_NUMBER("n", INT64_MIN)));
	ASSERT_LOGGED("level=warning event=e a=0\n", log_warning("e", LOG_NUMBER("a", 0)));
	ASSERT_LOGGED("level=info event=plain\n", log_event(LOG_LEVEL_INFO, "plain", NULL, 0));
}

static void test_empty_is_left_out(void **state)
{
	(void)state;
	ASSERT_LOGGED("level=info event=e z=1\n",
		      log_info("e", LOG_STR("a", ""), LOG_STR("b", NULL), LOG_SV("c", SV_EMPTY),
			       LOG_SV("d", SV("")), LOG_NUMBER("z", 1)));
}

static void test_quoting(void **state)
{
	static const struct {
		const char *value;
		const char *written;
	} rows[] = {
		{"plain-value_1.2:3/[x]{y}", "plain-value_1.2:3/[x]{y}"},
		{"two words", "\"two words\""},
		{" ", "\" \""},
		{"a=b", "\"a=b\""},
		{"say \"hi\"", "\"say \\\"hi\\\"\""},
		{"back\\slash", "\"back\\\\slash\""},
		{"tab\there", "\"tab\\x09here\""},
		{"\x1b[31mred", "\"\\x1b[31mred\""},
		{"\x7f", "\"\\x7f\""},
		/* Bytes outside ASCII are escaped: some of them end a line for some programs. */
		{"b\xc3\xbc", "\"b\\xc3\\xbc\""},
		{"a\xc2\x85"
		 "b",
		 "\"a\\xc2\\x85b\""},
		{"a\xe2\x80\xa8"
		 "b",
		 "\"a\\xe2\\x80\\xa8b\""},
		{"\x9b", "\"\\x9b\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char expected[128];

		snprintf(expected, sizeof(expected), "level=info event=e v=%s\n", rows[i].written);
		ASSERT_LOGGED(expected, log_info("e", LOG_STR("v", rows[i].value)));
	}
	ASSERT_LOGGED("level=info event=e v=\"a\\x00b\"\n", log_info("e", LOG_SV("v", SV("a\0b"))));
}

static void test_no_forged_line(void **state)
{
	(void)state;
	ASSERT_LOGGED("level=info event=e v=\"x\\x0d\\x0atime=1 level=error event=forged\" w=1\n",
		      log_info("e", LOG_STR("v", "x\r\ntime=1 level=error event=forged"),
			       LOG_NUMBER("w", 1)));
	ASSERT_LOGGED("level=info event=e v=\"x\\\" w=2 z=\\\"\" w=1\n",
		      log_info("e", LOG_STR("v", "x\" w=2 z=\""), LOG_NUMBER("w", 1)));
	ASSERT_LOGGED("level=info event=e v=\"\\x0a\" w=1\n",
		      log_info("e", LOG_STR("v", "\n"), LOG_NUMBER("w", 1)));
}

static void test_cut(void **state)
{
	static char value[10000];
	struct log_field fields[20];

	(void)state;
	/* A long value is cut and leaves room for the others. */
	memset(value, 'a', sizeof(value) - 1);
	capture_begin();
	log_info("e", LOG_STR("v", value), LOG_NUMBER("z", 1));
	capture_end();
	assert_in_range(strlen(captured), 300, 1024);
	assert_non_null(strstr(captured, "aaa z=1\n"));

	/* Many values make a line that is cut, with one newline. */
	for (int newlines = 0; newlines < 2; newlines++) {
		memset(value, newlines ? '\n' : 'a', sizeof(value) - 1);
		for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
			fields[i] = LOG_STR("v", value);
		}
		capture_begin();
		log_event(LOG_LEVEL_INFO, "e", fields, ARRAY_LENGTH(fields));
		capture_end();
		assert_int_equal(strlen(captured), PIPE_BUF);
		assert_ptr_equal(strchr(captured, '\n'), captured + PIPE_BUF - 1);
	}
}

static void test_threshold(void **state)
{
	(void)state;
	capture_begin();
	log_debug("hidden", LOG_NUMBER("a", 1));
	capture_end();
	assert_string_equal(captured, "");

	log_set_area_level(LOG_AREA_MAIN, LOG_LEVEL_DEBUG);
	ASSERT_LOGGED("level=debug event=shown a=1\n", log_debug("shown", LOG_NUMBER("a", 1)));

	log_set_area_level(LOG_AREA_MAIN, LOG_LEVEL_ERROR);
	capture_begin();
	log_warning("hidden", LOG_NUMBER("a", 1));
	log_info("hidden", LOG_NUMBER("a", 1));
	capture_end();
	assert_string_equal(captured, "");
	ASSERT_LOGGED("level=error event=shown a=1\n", log_error("shown", LOG_NUMBER("a", 1)));
	log_set_area_level(LOG_AREA_MAIN, LOG_LEVEL_INFO);
}

static void test_areas(void **state)
{
	enum log_area area = LOG_AREA_COUNT;

	(void)state;
	assert_int_equal(log_area_parse(SV("bosh"), &area), 0);
	assert_int_equal(area, LOG_AREA_BOSH);
	assert_int_equal(log_area_parse(SV("Bosh"), &area), -EINVAL);

	log_set_area_level(LOG_AREA_BOSH, LOG_LEVEL_DEBUG);
	log_set_area_level(LOG_AREA_MAIN, LOG_LEVEL_ERROR);
	ASSERT_LOGGED("level=debug event=shown a=1\n",
		      log_debug_in(LOG_AREA_BOSH, "shown", LOG_NUMBER("a", 1)));
	capture_begin();
	log_debug_in(LOG_AREA_DNS, "hidden", LOG_NUMBER("a", 1));
	log_warning("hidden", LOG_NUMBER("a", 1));
	capture_end();
	assert_string_equal(captured, "");
	log_set_area_level(LOG_AREA_BOSH, LOG_LEVEL_INFO);
	log_set_area_level(LOG_AREA_MAIN, LOG_LEVEL_INFO);
}

static void test_level_names(void **state)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	enum log_level level = LOG_LEVEL_COUNT;

	(void)state;
	assert_int_equal(LOG_LEVEL_COUNT, ARRAY_LENGTH(names));
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_int_equal(log_level_parse(sv_from(names[i]), &level), 0);
		assert_int_equal(level, i);
		assert_string_equal(log_level_name(level), names[i]);
	}
	assert_int_equal(log_level_parse(SV("Info"), &level), -EINVAL);
	assert_int_equal(log_level_parse(SV("warn"), &level), -EINVAL);
	assert_int_equal(log_level_parse(SV(""), &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

/* The writer writes the same lines. After it, and without it, logging works directly. */
static void test_start_and_stop(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		capture_begin();
		log_stop();
		assert_int_equal(start(), 0);
		log_debug("hidden", LOG_NUMBER("a", 1));
		log_info("e", LOG_NUMBER("a", 1));
		log_stop();
		capture_end();
		assert_string_equal(captured_rest(), "level=info event=e a=1\n");
		ASSERT_LOGGED("level=info event=e a=2\n", log_info("e", LOG_NUMBER("a", 2)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_empty_is_left_out),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_no_forged_line),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_threshold),
		cmocka_unit_test(test_areas),
		cmocka_unit_test(test_level_names),
		cmocka_unit_test(test_start_and_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
