/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/utf8.h"

/* Every code point, encoded by the rule of RFC 3629, 3. */
static void test_characters(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x110000; c++) {
		char text[5];
		size_t n;

		if (c < 0x80) {
			n = 1;
			text[0] = (char)c;
		} else {
			n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
			text[0] = (char)(0xf00 >> n | c >> 6 * (n - 1));
			for (size_t i = 1; i < n; i++) {
				text[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
			}
		}
		bool expected = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

		if (utf8_is_valid((struct sv){text, n}) != expected) {
			fail_msg("U+%04X", c);
		}
		assert_int_equal(utf8_character((struct sv){text, n}), expected ? n : 0);
		/* A character that has begun is not whole. */
		if (n > 1) {
			assert_false(utf8_is_valid((struct sv){text, n - 1}));
			assert_int_equal(utf8_character((struct sv){text, n - 1}), 0);
		}
	}
}

/* What no character begins with, and overlong forms, fail at the byte that makes them so. */
static void test_fails_at_once(void **state)
{
	static const struct {
		const char *text;
		size_t n_good;
	} rows[] = {
		{"\x80", 0},
		{"\xbf", 0},
		{"\xc0\x80", 0},
		{"\xc1\xbf", 0},
		{"\xe0\x9f\xbf", 1},
		{"\xed\xa0", 1},
		{"\xf0\x8f\xbf\xbf", 1},
		{"\xf4\x90", 1},
		{"\xf5", 0},
		{"\xff", 0},
		{"\xfe", 0},
		{"\xc3(", 1},
		{"\xe2\x82(", 2},
		{"\xf0\x9f\x98(", 3},
		{"eight bytes\xc3\xa4 and eight\xe2\x28", 24},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct sv text = sv_from(rows[i].text);
		struct utf8 utf8 = {0};
		size_t n = 0;

		while (n < text.n && utf8_feed(&utf8, sv_first(sv_skip(text, n), 1))) {
			n++;
		}
		assert_int_equal(n, rows[i].n_good);
		assert_false(utf8_is_valid(text));
	}
	assert_true(utf8_is_valid(SV_EMPTY));
	assert_true(utf8_is_valid(SV("\0 and more than eight bytes")));
}

/* Cut anywhere, a text is judged the same. */
static void test_pieces(void **state)
{
	static const struct sv text = {"0123456789abcdef \xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80 x",
				       28};

	(void)state;
	for (size_t at = 0; at <= text.n; at++) {
		struct utf8 utf8 = {0};

		assert_true(utf8_feed(&utf8, sv_first(text, at)));
		assert_int_equal(utf8_is_whole(&utf8), utf8_is_valid(sv_first(text, at)));
		assert_true(utf8_feed(&utf8, sv_skip(text, at)));
		assert_true(utf8_is_whole(&utf8));
	}
}

static void test_cut(void **state)
{
	static const struct {
		size_t n_max, n;
	} rows[] = {{0, 0}, {1, 1}, {2, 1}, {3, 3},   {4, 3},   {5, 3},
		    {6, 6}, {7, 6}, {9, 6}, {10, 10}, {11, 11}, {12, 11}};
	static const struct sv text = {"a\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80z", 11};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(utf8_cut(text, rows[i].n_max).n, rows[i].n);
	}
}

/* A character whose last byte is missing is none, whatever stands in its place. */
static void test_broken(void **state)
{
	(void)state;
	assert_int_equal(utf8_character(SV_EMPTY), 0);
	assert_int_equal(utf8_character(SV("\xe2\x82x")), 0);
	assert_int_equal(utf8_character(SV("\xf0\x9f\x98x")), 0);
	assert_int_equal(utf8_character(SV("\xf0\x9fx\x98")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters), cmocka_unit_test(test_fails_at_once),
		cmocka_unit_test(test_pieces),     cmocka_unit_test(test_cut),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
