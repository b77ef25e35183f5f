/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/http/date.h"

static void assert_line(struct http_date *date, time_t now, struct sv line)
{
	assert_true(sv_eq(http_date_line(date, now), line));
}

static void test_text(void **state)
{
	struct http_date date = {0};

	(void)state;
	assert_line(&date, 0, SV("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
	/* RFC 9110, 5.6.7. */
	assert_line(&date, 784111777, SV("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	assert_line(&date, 1709208000, SV("Date: Thu, 29 Feb 2024 12:00:00 GMT\r\n"));
	/* Beyond 32 bits. */
	assert_line(&date, INT64_C(4102444800), SV("Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n"));
}

/* A clock may be set forward and back at any time. */
static void test_jumps(void **state)
{
	struct http_date date = {0};

	(void)state;
	assert_line(&date, 784111777, SV("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	assert_line(&date, 784111778, SV("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"));
	assert_line(&date, 784025377, SV("Date: Sat, 05 Nov 1994 08:49:37 GMT\r\n"));
	assert_line(&date, -1, SV("Date: Wed, 31 Dec 1969 23:59:59 GMT\r\n"));
	assert_line(&date, 784111777, SV("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

/* Nothing is made anew within a second. */
static void test_once(void **state)
{
	struct http_date date = {0};

	(void)state;
	(void)http_date_line(&date, 784111777);
	date.line[6] = 'X';
	assert_line(&date, 784111777, SV("Date: Xun, 06 Nov 1994 08:49:37 GMT\r\n"));
	assert_line(&date, 784111778, SV("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"));
}

/* The last second of the year 9999 and the one after it; a year that no calendar has. */
static void test_bounds(void **state)
{
	struct http_date date = {0};

	(void)state;
	assert_line(&date, INT64_C(253402300799), SV("Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n"));
	assert_int_equal(http_date_line(&date, INT64_C(253402300800)).n, 0);
	assert_int_equal(http_date_line(&date, INT64_MAX).n, 0);
	assert_line(&date, 0, SV("Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
