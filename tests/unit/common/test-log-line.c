/* SPDX-License-Identifier: MIT */
/* Formats and frames; test-log.c has logfmt as it is written to standard error. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log-line.h"
#include "common/macro.h"

static struct log_line line;

/* The line without its newline. */
static const char *format(enum log_format format, enum log_frame frame, enum log_level level,
			  const struct log_field *fields, size_t n_fields)
{
	const struct log_style style = {format, frame};

	log_line_format(&line, &style, level, "e", fields, n_fields);
	assert_int_equal(line.data[line.n - 1], '\n');
	assert_ptr_equal(memchr(line.data, '\n', line.n), line.data + line.n - 1);
	line.data[line.n - 1] = '\0';
	return line.data;
}

static void test_journal(void **state)
{
	static const char *const expected[] = {
		"<3>level=error event=e a=1", "<4>level=warning event=e a=1",
		"<6>level=info event=e a=1", "<7>level=debug event=e a=1"};

	(void)state;
	for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
		assert_string_equal(format(LOG_FORMAT_LOGFMT, LOG_FRAME_JOURNAL, (enum log_level)i,
					   LOG_FIELDS(LOG_NUMBER("a", 1))),
				    expected[i]);
	}
	assert_string_equal(format(LOG_FORMAT_JSON, LOG_FRAME_JOURNAL, LOG_LEVEL_INFO,
				   LOG_FIELDS(LOG_NUMBER("a", 1))),
			    "<6>{\"level\":\"info\",\"event\":\"e\",\"a\":1}");
}

static void test_syslog(void **state)
{
	char pattern[128];

	(void)state;
	/* 30: daemon.info */
	snprintf(pattern, sizeof(pattern),
		 "<30>[A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9] doab\\[%d\\]: "
		 "level=info event=e a=\"x y\"",
		 (int)getpid());
	assert_int_equal(fnmatch(pattern,
				 format(LOG_FORMAT_LOGFMT, LOG_FRAME_SYSLOG, LOG_LEVEL_INFO,
					LOG_FIELDS(LOG_STR("a", "x y"))),
				 0),
			 0);
	assert_memory_equal(format(LOG_FORMAT_JSON, LOG_FRAME_SYSLOG, LOG_LEVEL_ERROR,
				   LOG_FIELDS(LOG_NUMBER("a", 1))),
			    "<27>", 4);
	assert_non_null(strstr(line.data, "]: {\"level\":\"error\",\"event\":\"e\",\"a\":1}"));
}

static void test_json(void **state)
{
	const char *pattern = "{\"time\":\"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*Z\",*";

	(void)state;
	assert_int_equal(fnmatch(pattern,
				 format(LOG_FORMAT_JSON, LOG_FRAME_PLAIN, LOG_LEVEL_INFO,
					LOG_FIELDS(LOG_STR("a", "\"\n"), LOG_NUMBER("b", -2),
						   LOG_STR("c", ""), LOG_STR("d", "\xc3\xbc\xff"))),
				 0),
			 0);
	assert_non_null(strstr(line.data,
			       ",\"level\":\"info\",\"event\":\"e\",\"a\":\"\\\"\\u000a\","
			       "\"b\":-2,\"d\":\"\\u00fc\\ufffd\"}"));
	assert_null(strstr(line.data, "\"c\""));
}

/* A line that is too long keeps whole members, and says that some are missing. */
static void test_json_cut(void **state)
{
	static char value[10000];
	struct log_field fields[20];

	(void)state;
	memset(value, 1, sizeof(value) - 1);
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
		fields[i] = LOG_STR("v", value);
	}
	fields[ARRAY_LENGTH(fields) - 1] = LOG_NUMBER("last", 7);
	format(LOG_FORMAT_JSON, LOG_FRAME_PLAIN, LOG_LEVEL_INFO, fields, ARRAY_LENGTH(fields));
	assert_non_null(strstr(line.data, "\\u0001\",\"last\":7,\"cut\":true}"));
	assert_true(line.n <= LOG_LINE_MAX);

	/* Of a value LOG_VALUE_MAX bytes are left, of whatever length it is. */
	memset(value, 'a', sizeof(value) - 1);
	format(LOG_FORMAT_JSON, LOG_FRAME_JOURNAL, LOG_LEVEL_INFO, fields, 1);
	assert_int_equal(strlen(line.data),
			 strlen("<6>{\"level\":\"info\",\"event\":\"e\",\"v\":\"\"}") +
				 LOG_VALUE_MAX);
	value[LOG_VALUE_MAX] = '\0';
	size_t n = line.n;

	format(LOG_FORMAT_JSON, LOG_FRAME_JOURNAL, LOG_LEVEL_INFO, fields, 1);
	assert_int_equal(line.n, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
