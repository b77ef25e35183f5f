/* SPDX-License-Identifier: MIT */
/* The framing of chunked bodies: each rule, whole and byte by byte, and the limit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/buffer.h"
#include "gateway/http/chunks.h"

/* Feeds @body in pieces of @n_piece bytes; *ret_n is how many were consumed. */
static enum chunks_result feed(struct sv body, size_t n_piece, struct buffer *data, size_t *ret_n)
{
	enum chunks_result result = CHUNKS_MORE;
	struct chunks chunks = {0};
	size_t n = 0;

	while (n < body.n && result == CHUNKS_MORE) {
		struct sv piece = sv_first(sv_skip(body, n), n_piece), rest = piece, part;

		while ((result = chunks_feed(&chunks, &rest, &part)) == CHUNKS_FOUND) {
			assert_true(part.n > 0);
			assert_int_equal(buffer_append_sv(data, part), 0);
		}
		n += piece.n - rest.n;
	}
	*ret_n = n;
	return result;
}

static void assert_fed(struct sv body, enum chunks_result expected, struct sv data, size_t n_left)
{
	static const size_t pieces[] = {1, 3, SIZE_MAX};

	for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
		struct buffer found = BUFFER_INIT;
		size_t n;

		if (feed(body, pieces[i], &found, &n) != expected) {
			fail_msg("expected %d of: %.*s", (int)expected, SV_ARGS(body));
		}
		if (expected != CHUNKS_FAULT) {
			assert_int_equal(body.n - n, n_left);
			assert_true(sv_eq(buffer_sv(&found), data));
		}
		buffer_deinit(&found);
	}
}

static void test_good(void **state)
{
	static const struct sv data = {"hello", 5};

	(void)state;
	assert_fed(SV("5\r\nhello\r\n0\r\n\r\n"), CHUNKS_DONE, data, 0);
	assert_fed(SV("5\r\nhello\r\n0\r\n\r\nGET /"), CHUNKS_DONE, data, 5);
	assert_fed(SV("2\r\nhe\r\n3\r\nllo\r\n00\r\n\r\n\r\n"), CHUNKS_DONE, data, 2);
	assert_fed(SV("0\r\n\r\n"), CHUNKS_DONE, SV(""), 0);
	assert_fed(SV("a\r\n0123456789\r\n0\r\n\r\n"), CHUNKS_DONE, SV("0123456789"), 0);
	assert_fed(SV("A\r\n0123456789\r\n0\r\n\r\n"), CHUNKS_DONE, SV("0123456789"), 0);
	assert_fed(SV("00000000000000000005\r\nhello\r\n0\r\n\r\n"), CHUNKS_DONE, data, 0);
	assert_fed(SV("5;a\r\nhello\r\n0;b\r\n\r\n"), CHUNKS_DONE, data, 0);
	assert_fed(SV("5 \t; a = \"b;\xff\\\" c\"\r\nhello\r\n0\r\n\r\n"), CHUNKS_DONE, data, 0);
	assert_fed(SV("5\r\nhello\r\n0\r\nX: a\tb\xff\r\nY:\r\n\r\n"), CHUNKS_DONE, data, 0);
	assert_fed(SV("5\r\n\r\n\0\r\n\r\n0\r\n\r\n"), CHUNKS_DONE, SV("\r\n\0\r\n"), 0);
	assert_fed(SV("5\r\nhello\r\n0\r\n\r"), CHUNKS_MORE, data, 0);
	assert_fed(SV("5\r\nhel"), CHUNKS_MORE, SV("hel"), 0);
	assert_fed(SV("7fffffffffffffff\r\nhello"), CHUNKS_MORE, data, 0);
}

static void test_bad(void **state)
{
	static const struct sv bad[] = {
#define X(text) {text, sizeof(text) - 1}
		X("\r\n"),
		X("\n"),
		X("g\r\n"),
		X("-1\r\n"),
		X("+1\r\n"),
		X("0x1\r\n"),
		X(" 1\r\n"),
		X("\t1\r\n"),
		X(";a\r\n"),
		X("1 \r\n"),
		X("1\t\r\n"),
		X("1 2\r\n"),
		X("1,\r\n"),
		X("1\n"),
		X("1\rx"),
		X("1;a\n"),
		X("1;a\rb"),
		X("1;a\0"),
		X("1;a\x7f"),
		X("1 ;\x01"),
		X("8000000000000000\r\n"),
		X("ffffffffffffffff\r\n"),
		X("10000000000000000\r\n"),
		X("1\r\nx\n"),
		X("1\r\nx\r0"),
		X("1\r\nxy"),
		X("1\r\nx0\r\n"),
		X("1\r\nx\r\n\r\n"),
		X("0\n"),
		X("0\r\n\n"),
		X("0\r\n\rx"),
		X("0\r\n: a\r\n"),
		X("0\r\nX\r\n"),
		X("0\r\nX a: b\r\n"),
		X("0\r\nX : b\r\n"),
		X("0\r\n X: b\r\n"),
		X("0\r\nX: a\r\n b\r\n"),
		X("0\r\nX: a\n"),
		X("0\r\nX: a\rb"),
		X("0\r\nX: a\0"),
		X("0\r\nX: \x7f"),
		X("0\r\nX\0: a"),
#undef X
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		assert_fed(bad[i], CHUNKS_FAULT, SV(""), 0);
	}
}

/* @n bytes between @before and @after, at the limit and one above it. */
static void assert_limit(const char *before, char byte, const char *after, size_t n_counted)
{
	for (size_t above = 0; above <= 1; above++) {
		size_t n = CHUNKS_EXTRA_MAX - n_counted + above;
		struct buffer body = BUFFER_INIT;

		assert_int_equal(buffer_append_sv(&body, sv_from(before)), 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(buffer_append(&body, &byte, 1), 0);
		}
		assert_int_equal(buffer_append_sv(&body, sv_from(after)), 0);
		assert_fed(buffer_sv(&body), above ? CHUNKS_FAULT : CHUNKS_DONE, SV("x"), 0);
		buffer_deinit(&body);
	}
}

static void test_limit(void **state)
{
	(void)state;
	assert_limit("1;", 'a', "\r\nx\r\n0\r\n\r\n", 1);
	assert_limit("1", ' ', ";\r\nx\r\n0\r\n\r\n", 1);
	assert_limit("1\r\nx\r\n0\r\nX:", 'a', "\r\n\r\n", 2);
	assert_limit("1;a\r\nx\r\n0\r\n", 'a', ":\r\n\r\n", 3);
	assert_limit("0", '0', "1\r\nx\r\n0\r\n\r\n", 1);
	assert_limit("1\r\nx\r\n0", '0', "\r\n\r\n", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
