/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/buffer.h"
#include "policy/cors.h"

static void test_judge(void **state)
{
	static const struct {
		const char *asked;
		const char *list; /* "": refused */
	} rows[] = {
		{"content-type", "content-type"},
		{"authorization,content-type", "authorization, content-type"},
		{" Authorization ,\tTraceparent,,sentry-trace",
		 "Authorization, Traceparent, sentry-trace"},
		{"x!#$%&'*+-.^_`|~9", "x!#$%&'*+-.^_`|~9"},
		{"*", "*"},
		{"", ""},
		{",", ""},
		{"a b", ""},
		{"content-type, a:b", ""},
		{"content-type\r\nSet-Cookie", ""},
		{"a\"b", ""},
		{"a(b)", ""},
		{"\xc3\xbc", ""},
	};
	char list[CORS_HEADERS_LENGTH_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(cors_headers_judge(sv_from(rows[i].asked), list),
				 rows[i].list[0] != '\0');
		assert_string_equal(list, rows[i].list);
	}
	assert_false(cors_headers_judge(SV_EMPTY, list));
	assert_false(cors_headers_judge(SV("a\0b"), list));
}

static void test_limits(void **state)
{
	struct buffer asked = BUFFER_INIT;
	char list[CORS_HEADERS_LENGTH_MAX + 1];

	(void)state;
	for (int i = 0; i < CORS_HEADERS_MAX; i++) {
		assert_int_equal(buffer_append_sv(&asked, SV("a,")), 0);
	}
	assert_true(cors_headers_judge(buffer_sv(&asked), list));
	assert_int_equal(buffer_append_sv(&asked, SV("a")), 0);
	assert_false(cors_headers_judge(buffer_sv(&asked), list));
	buffer_clear(&asked);
	/* The room for a separator counts for the first name, too. */
	for (size_t i = 0; i < CORS_HEADERS_LENGTH_MAX - strlen(", "); i++) {
		assert_int_equal(buffer_append_sv(&asked, SV("a")), 0);
	}
	assert_true(cors_headers_judge(buffer_sv(&asked), list));
	assert_int_equal(buffer_append_sv(&asked, SV("a")), 0);
	assert_false(cors_headers_judge(buffer_sv(&asked), list));
	buffer_deinit(&asked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
