/* SPDX-License-Identifier: MIT */
/* Bodies: chunked, coded, announced, and too long. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/http/coder.h"
#include "tests/unit/gateway/http/reader-case.h"

/* A coded one is not, although it has come as a whole. */
static void test_coded_at_hand(void **state)
{
	static const char *const names[] = {[CODING_IDENTITY] = "identity",
					    [CODING_GZIP] = "gzip",
					    [CODING_DEFLATE] = "deflate"};
	struct http_limits limits = {.n_body_max = 16384, .timeout_s = TIMEOUT_S};
	char head[200];

	(void)state;
	assert_int_equal(coder_new(&limits.coder), 0);
	http_reader_reload(one.reader, &limits);
	for (enum coding coding = CODING_IDENTITY; coding <= CODING_DEFLATE; coding++) {
		struct buffer request = BUFFER_INIT;
		struct blob *body;

		assert_int_equal(coding ? coder_encode(limits.coder, coding, SV("hello"), &body)
					: blob_new(5, &body),
				 0);
		if (!coding) {
			memcpy(body->data, "hello", 5);
		}
		(void)snprintf(head, sizeof(head),
			       "POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: %s\r\n"
			       "Content-Length: %zu\r\n\r\n",
			       names[coding], body->n);
		assert_int_equal(buffer_append_sv(&request, sv_from(head)), 0);
		assert_int_equal(buffer_append_sv(&request, blob_sv(body)), 0);
		one.body[0] = '\0';
		(void)!send(one.theirs, buffer_sv(&request).data, request.n, MSG_NOSIGNAL);
		turn();
		assert_string_equal(one.body, "hello");
		assert_string_equal(heard(), "200");
		blob_unref(body);
		buffer_deinit(&request);
	}
	limits.coder = coder_free(limits.coder);
	http_reader_reload(one.reader, &limits);
}

/* Chunks in one piece, byte by byte, and with another request behind them. */
static void test_chunked(void **state)
{
	static const char request[] = CHUNKED("/x") "2;e\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n";

	(void)state;
	say(request);
	assert_string_equal(one.body, "hello");
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		const char byte[] = {request[i], '\0'};

		one.body[0] = '\0';
		say(byte);
	}
	assert_string_equal(one.body, "hello");
	assert_string_equal(heard(), "200 200");
	say(CHUNKED("/held") "1\r\na\r\n0\r\n\r\n" HEAD("/x", "1") "b");
	assert_string_equal(one.body, "b");
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 200");
}

/* Nothing behind it is read. Its answer waits for its turn. */
static void test_bad_chunk(void **state)
{
	(void)state;
	say(HEAD("/held", "0") CHUNKED("/x") "1\r\nxy\r\n" HEAD("/held", "0"));
	assert_int_equal(one.n_malformed, 1);
	assert_int_equal(one.fault, HTTP_FAULT_CHUNK);
	assert_string_equal(heard(), "");
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200 400");
	assert_int_equal(one.n_held, 1);
}

/* One byte more than may be, and what is discarded of such a body. */
static void test_chunked_bound(void **state)
{
	char chunk[16384 + 32];

	(void)state;
	for (size_t above = 0; above <= 1; above++) {
		snprintf(chunk, sizeof(chunk), "%s%zx\r\n%0*d\r\n0\r\n\r\n", "", 16384 + above,
			 (int)(16384 + above), 7);
		say(CHUNKED("/x"));
		say(chunk);
		assert_string_equal(heard(), "200");
	}
	say(CHUNKED("/held"));
	for (size_t i = 0; i < HTTP_DISCARD_MAX / 16384 + 2 && one.n_held == 0; i++) {
		snprintf(chunk, sizeof(chunk), "4000\r\n%016384d\r\n", 7);
		say(chunk);
	}
	assert_int_equal(one.n_held, 1);
	assert_true(http_exchange_body_too_large(one.held[0]));
	answer(one.held[0], 200);
	turn();
	assert_string_equal(heard(), "200");
}

/* RFC 9110, 10.1.1: the client is told to send its body once those before it are answered, and not
 * if it does so by itself or the body is too large. */
static void test_continue(void **state)
{
	(void)state;
	say(HEAD("/held", "0") EXPECTING("1"));
	assert_string_equal(heard(), "");
	answer(one.held[0], 202);
	turn();
	assert_string_equal(heard(), "202 100");
	say("x");
	assert_string_equal(heard(), "200");
	say(EXPECTING("1") "x");
	assert_string_equal(heard(), "200");
	say(EXPECTING("16384"));
	assert_string_equal(heard(), "100");
}

static void test_continue_bound(void **state)
{
	(void)state;
	say(EXPECTING("16385"));
	assert_string_equal(heard(), "200");
	say(HEAD("/held", "0"));
	assert_int_equal(one.n_held, 0);
	assert_false(http_reader_is_busy(one.reader));
}

/* A body of n bytes is whole, of n + 1 its beginning. */
static void test_body_bound(void **state)
{
	static char text[64 * 1024];
	size_t n;

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		n = (size_t)snprintf(text, sizeof(text), HEAD("/held", "%zu"), 16384 + extra);
		memset(text + n, 'x', 16384 + extra);
		text[n + 16384 + extra] = '\0';
		say(text);
		assert_int_equal(http_exchange_body_too_large(one.held[extra]), extra);
		answer(one.held[extra], 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_coded_at_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chunked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chunked_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_continue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_continue_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_bound, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
