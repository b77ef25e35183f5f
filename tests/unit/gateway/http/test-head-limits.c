/* SPDX-License-Identifier: MIT */
/* The limits of the head of a request, at each and one above. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/unit/gateway/http/head-case.h"

/* A method that is too long is that, whatever stands behind it. */
static void test_method_length(void **state)
{
	char text[HTTP_METHOD_MAX + 2];
	struct http_head head;

	(void)state;
	memset(text, 'A', sizeof(text));
	for (size_t n = HTTP_METHOD_MAX; n <= HTTP_METHOD_MAX + 1; n++) {
		bool is_long = n > HTTP_METHOD_MAX;

		text[n] = '\x01';
		assert_int_equal(feed_whole((struct sv){text, n}, &head),
				 is_long ? HTTP_HEAD_FAULT : HTTP_HEAD_MORE);
		assert_int_equal(feed_whole((struct sv){text, n + 1}, &head), HTTP_HEAD_FAULT);
		assert_int_equal(head.fault,
				 is_long ? HTTP_FAULT_METHOD_TOO_LONG : HTTP_FAULT_ALIEN);
		text[n] = 'A';
	}
}

/* A request whose head has @n bytes. */
static struct sv make_head(char *text, size_t n)
{
	size_t at = (size_t)snprintf(text, n, LINE HOST "X: ");

	memset(text + at, 'a', n - at);
	memcpy(text + n - 4, "\r\n\r\n", 4);
	return (struct sv){text, n};
}

static void test_head_size(void **state)
{
	static char text[HTTP_HEAD_MAX + 64];
	struct http_head head;

	(void)state;
	assert_int_equal(feed_whole(make_head(text, HTTP_HEAD_MAX), &head), HTTP_HEAD_DONE);
	assert_int_equal(head.n, HTTP_HEAD_MAX);
	assert_int_equal(feed_whole(make_head(text, HTTP_HEAD_MAX + 1), &head), HTTP_HEAD_FAULT);
	assert_int_equal(head.fault, HTTP_FAULT_TOO_LARGE);
	assert_int_equal(feed_pieces((struct sv){text, HTTP_HEAD_MAX + 1}, 997, &head),
			 HTTP_HEAD_FAULT);
	assert_int_equal(head.fault, HTTP_FAULT_TOO_LARGE);
	assert_int_equal(http_fault_status(head.fault), 431);
	/* What follows the head does not count. */
	make_head(text, 200);
	assert_int_equal(feed_whole((struct sv){text, sizeof(text)}, &head), HTTP_HEAD_DONE);
	assert_int_equal(head.n, 200);
}

static void test_target_size(void **state)
{
	static char text[HTTP_HEAD_MAX];
	struct http_head head;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		size_t n_target = HTTP_TARGET_MAX + extra;
		size_t n = 4;

		memcpy(text, "GET ", n);
		memset(text + n, '/', n_target);
		n += n_target;
		n += (size_t)snprintf(text + n, 64, " HTTP/1.1\r\n" HOST "\r\n");
		assert_int_equal(feed_whole((struct sv){text, n}, &head),
				 extra ? HTTP_HEAD_FAULT : HTTP_HEAD_DONE);
		assert_int_equal(head.fault, extra ? HTTP_FAULT_TARGET_TOO_LONG : 0);
	}
	/* One whose end has not come, behind empty lines, which do not count. */
	for (size_t extra = 0; extra < 2; extra++) {
		size_t n_line = HTTP_TARGET_MAX + HTTP_METHOD_MAX + 16 + extra;

		memset(text, '/', sizeof(text));
		memcpy(text, "\r\n\r\nGET ", 8);
		assert_int_equal(feed_whole((struct sv){text, 4 + n_line}, &head),
				 extra ? HTTP_HEAD_FAULT : HTTP_HEAD_MORE);
	}
	/* One that never ends. */
	memset(text, '/', sizeof(text));
	memcpy(text, "GET ", 4);
	assert_int_equal(feed_pieces((struct sv){text, sizeof(text)}, 1000, &head),
			 HTTP_HEAD_FAULT);
	assert_int_equal(head.fault, HTTP_FAULT_TARGET_TOO_LONG);
	assert_int_equal(http_fault_status(head.fault), 414);
}

static void test_line_count(void **state)
{
	static char text[HTTP_HEAD_MAX];
	struct http_head head;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		size_t n = (size_t)snprintf(text, sizeof(text), LINE HOST);

		for (size_t i = 1; i < HTTP_LINES_MAX + extra; i++) {
			n += (size_t)snprintf(text + n, sizeof(text) - n, "X%zu: %s\r\n", i,
					      FILL_16);
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
		assert_int_equal(feed_whole((struct sv){text, n}, &head),
				 extra ? HTTP_HEAD_FAULT : HTTP_HEAD_DONE);
		assert_int_equal(head.fault, extra ? HTTP_FAULT_TOO_MANY : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_size),
		cmocka_unit_test(test_target_size),
		cmocka_unit_test(test_line_count),
		cmocka_unit_test(test_method_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
