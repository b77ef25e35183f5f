/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/http/beginning.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/http/coding-case.h"

#define TEXT "<body rid='1' sid='abc' xmlns='http://jabber.org/protocol/httpbind'/>"
#define N_TEXT (sizeof(TEXT) - 1)

/* A request with @headers and @body, of which @n bytes have arrived. */
struct request {
	struct buffer bytes;
	struct http_head head;
};

static void make(struct request *request, const char *headers, struct sv body, size_t n)
{
	struct buffer *bytes = &request->bytes;

	*request = (struct request){0};
	assert_int_equal(buffer_append_sv(bytes, SV("POST / HTTP/1.1\r\nHost: x\r\n")), 0);
	assert_int_equal(buffer_append_sv(bytes, sv_from(headers)), 0);
	assert_int_equal(buffer_append_sv(bytes, SV("\r\n")), 0);
	assert_int_equal(buffer_append_sv(bytes, sv_first(body, n)), 0);
	assert_int_equal(http_head_feed(&request->head, buffer_sv(bytes)), HTTP_HEAD_DONE);
}

static void assert_beginning(const char *headers, struct sv body, size_t n, struct sv text,
			     bool more)
{
	struct http_beginning beginning;
	struct request request;

	make(&request, headers, body, n);
	assert_int_equal(http_beginning_init(&beginning, &request.head, buffer_sv(&request.bytes),
					     coder, N_MAX),
			 0);
	assert_true(sv_eq(beginning.text, text));
	assert_int_equal(beginning.has_more, more);
	http_beginning_deinit(&beginning);
	buffer_deinit(&request.bytes);
}

static void test_plain(void **state)
{
	(void)state;
	assert_beginning("Content-Length: 71\r\n", SV(TEXT), 0, SV(""), true);
	assert_beginning("Content-Length: 71\r\n", SV(TEXT), 20, sv_first(SV(TEXT), 20), true);
	assert_beginning("Content-Length: 69\r\n", SV(TEXT), N_TEXT, SV(TEXT), false);
	assert_beginning("", SV(""), 0, SV(""), false);
}

/* However much of it has arrived, the text is a beginning of the whole. */
static void test_chunks(void **state)
{
	static const char body[] = "5;ext=1\r\n<body\r\n01\r\n \r\n3f\r\n"
				   "rid='1' sid='abc' xmlns='http://jabber.org/protocol/httpbind'/>"
				   "\r\n0\r\n\r\n";
	static const size_t n_before = 9 + 5 + 2 + 4 + 1 + 2 + 4;
	static const char chunked[] = "Transfer-Encoding: chunked\r\n";
	size_t n = sizeof(body) - 1;

	(void)state;
	assert_beginning(chunked, sv_from(body), n, SV(TEXT), false);
	assert_beginning(chunked, sv_from(body), n - 5, SV(TEXT), true);
	assert_beginning(chunked, sv_from(body), n_before + 10, sv_first(SV(TEXT), 6 + 10), true);
	assert_beginning(chunked, sv_from(body), n_before - 2, SV("<body "), true);
	assert_beginning(chunked, sv_from(body), 16, SV("<body"), true);
	assert_beginning(chunked, sv_from(body), 15, SV("<body"), true);
	assert_beginning(chunked, sv_from(body), 3, SV(""), true);
	assert_beginning(chunked, SV("no size\r\n<body"), 14, SV(""), false);
}

/* RFC 9112, 7.1: any number of digits, as long as they make no size that there cannot be. */
static void test_digits_of_a_chunk(void **state)
{
	static const char chunked[] = "Transfer-Encoding: chunked\r\n";

	(void)state;
	assert_beginning(chunked, SV("00000005\r\n<body"), 15, SV("<body"), true);
	assert_beginning(chunked, SV("000000005\r\n<body"), 16, SV("<body"), true);
	assert_beginning(chunked, SV("00000000000000000000005\r\n<body"), 30, SV("<body"), true);
	assert_beginning(chunked, SV("100000005\r\n<body"), 16, SV("<body"), true);
	assert_beginning(chunked, SV("10000000000000005\r\n<body"), 24, SV(""), false);
	assert_beginning(chunked, SV("0x5\r\n<body"), 10, SV(""), false);
	assert_beginning(chunked, SV("5\n<body"), 7, SV(""), false);
	assert_beginning(chunked, SV("5\r\n<body0\r\n"), 11, SV("<body"), false);
}

static void assert_coded(const char *headers, int window_bits)
{
	struct buffer coded = BUFFER_INIT;
	struct http_beginning beginning;
	char all[200];
	size_t n_told = 0;

	code_with(window_bits, 9, 9, 0, SV(TEXT), &coded);
	snprintf(all, sizeof(all), "%sContent-Length: %zu\r\n", headers, coded.n);
	for (size_t n = 0; n <= coded.n; n++) {
		struct request request;

		make(&request, all, buffer_sv(&coded), n);
		assert_int_equal(http_beginning_init(&beginning, &request.head,
						     buffer_sv(&request.bytes), coder, N_MAX),
				 0);
		assert_true(beginning.text.n >= n_told);
		assert_true(sv_eq(beginning.text, sv_first(SV(TEXT), beginning.text.n)));
		assert_int_equal(beginning.has_more, n < coded.n);
		n_told = beginning.text.n;
		http_beginning_deinit(&beginning);
		buffer_deinit(&request.bytes);
	}
	assert_int_equal(n_told, N_TEXT);
	buffer_deinit(&coded);
}

static void test_coded(void **state)
{
	(void)state;
	assert_coded("Content-Encoding: gzip\r\n", GZIP);
	assert_coded("Content-Encoding: deflate\r\n", ZLIB);
	assert_coded("Content-Encoding: deflate\r\n", RAW);
}

static void test_coded_chunks(void **state)
{
	struct buffer coded = BUFFER_INIT, body = BUFFER_INIT;
	char size[16];

	(void)state;
	code_with(GZIP, 9, 9, 0, SV(TEXT), &coded);
	snprintf(size, sizeof(size), "%zX\r\n", coded.n);
	assert_int_equal(buffer_append_sv(&body, sv_from(size)), 0);
	assert_int_equal(buffer_append_sv(&body, buffer_sv(&coded)), 0);
	assert_int_equal(buffer_append_sv(&body, SV("\r\n0\r\n\r\n")), 0);
	assert_beginning("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n",
			 buffer_sv(&body), body.n, SV(TEXT), false);
	buffer_deinit(&coded);
	buffer_deinit(&body);
}

/* A coding that is not supported, or not switched on. */
static void test_as_sent(void **state)
{
	struct coder *with = coder;

	(void)state;
	assert_beginning("Content-Length: 3\r\nContent-Encoding: br\r\n", SV("xyz"), 3, SV("xyz"),
			 false);
	coder = NULL;
	assert_beginning("Content-Length: 3\r\nContent-Encoding: gzip\r\n", SV("xyz"), 3, SV("xyz"),
			 false);
	coder = with;
}

/* Beyond the limit nothing more is waited for, so that nobody can have it all looked at again and
 * again. */
static void test_limit(void **state)
{
	static const char chunked[] = "Transfer-Encoding: chunked\r\n";
	static const char size[] = "ffff\r\n";
	static char body[HTTP_BEGINNING_MAX + 1];

	(void)state;
	memset(body, 'x', sizeof(body));
	memcpy(body, size, sizeof(size) - 1);
	for (size_t n = HTTP_BEGINNING_MAX - 1; n <= sizeof(body); n++) {
		size_t n_seen = n < HTTP_BEGINNING_MAX ? n : HTTP_BEGINNING_MAX;

		assert_beginning(chunked, (struct sv){body, n}, n,
				 (struct sv){body + sizeof(size) - 1, n_seen - sizeof(size) + 1},
				 n < HTTP_BEGINNING_MAX);
	}
}

static int look(void *userdata)
{
	struct request *request = userdata;
	struct http_beginning beginning;
	int r = http_beginning_init(&beginning, &request->head, buffer_sv(&request->bytes), coder,
				    N_MAX);

	http_beginning_deinit(&beginning);
	return r;
}

static void test_out_of_memory(void **state)
{
	static const char gzip[] = "Content-Encoding: gzip\r\nContent-Length: 200\r\n";
	struct buffer coded = BUFFER_INIT;
	struct request request;

	(void)state;
	/* It is told: what is in place of the text would be taken for it. */
	code_with(GZIP, 9, 9, 0, SV(TEXT), &coded);
	for (int i = 0; i < 2; i++) {
		make(&request, i ? gzip : "Transfer-Encoding: chunked\r\n",
		     i ? buffer_sv(&coded) : SV("3\r\nabc\r\n"), i ? coded.n : 8);
		failmalloc_arm(1, true);
		int r = look(&request);

		assert_true(failmalloc_disarm() > 0);
		assert_int_equal(r, -ENOMEM);
		buffer_deinit(&request.bytes);
	}
	buffer_deinit(&coded);
	make(&request, "Transfer-Encoding: chunked\r\n", SV("3\r\nabc\r\n"), 8);
	failmalloc_each(look, &request, 1);
	buffer_deinit(&request.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_digits_of_a_chunk),
		cmocka_unit_test(test_coded),
		cmocka_unit_test(test_coded_chunks),
		cmocka_unit_test(test_as_sent),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
