/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/ascii.h"
#include "common/sv.h"

static void test_characters(void **state)
{
	static const char digits[] = "0123456789abcdef", letters[] = "abcdefghijklmnopqrstuvwxyz";

	(void)state;
	for (int i = 0; i <= 0xff; i++) {
		char c = (char)i, lower = i >= 'A' && i <= 'Z' ? (char)(i + ' ') : c;
		const char *digit = i ? strchr(digits, lower) : NULL;

		assert_int_equal(ascii_lower(c), lower);
		assert_int_equal(ascii_is_digit(c), digit && digit - digits < 10);
		assert_int_equal(ascii_is_letter(c), i && strchr(letters, lower));
		assert_int_equal(ascii_is_white(c), i && strchr(" \t\r\n", c));
		assert_int_equal(ascii_hex_digit(c), digit ? digit - digits : -1);
		assert_int_equal(ascii_is_letter(i), ascii_is_letter(c));
		assert_int_equal(ascii_hex_digit(i), ascii_hex_digit(c));
	}
}

/* Whether bytes that arrive may become a text. */
static void test_may_become(void **state)
{
	(void)state;
	assert_true(sv_may_become(SV_EMPTY, SV("ab")));
	assert_true(sv_may_become(SV("a"), SV("ab")));
	assert_true(sv_may_become(SV("ab"), SV("ab")));
	assert_true(sv_may_become(SV("abc"), SV("ab")));
	assert_false(sv_may_become(SV("b"), SV("ab")));
	assert_false(sv_may_become(SV("ac"), SV("ab")));
	assert_false(sv_may_become(SV("bbc"), SV("ab")));
}

static void test_eq(void **state)
{
	(void)state;
	assert_true(sv_eq(SV("abc"), SV("abc")));
	assert_true(sv_eq(SV_EMPTY, SV("")));
	assert_true(sv_eq((struct sv){"abcd", 3}, SV("abc")));
	assert_false(sv_eq(SV("abc"), SV("abC")));
	assert_false(sv_eq(SV("abc"), SV("ab")));
	assert_true(sv_eq_nocase(SV("aBc-1"), SV("AbC-1")));
	assert_true(sv_eq_nocase(SV_EMPTY, SV("")));
	assert_false(sv_eq_nocase(SV("abc"), SV("abcd")));
	/* ASCII only: these pairs differ in bit 5 like a letter and its capital. */
	assert_false(sv_eq_nocase(SV("@"), SV("`")));
	assert_false(sv_eq_nocase(SV("["), SV("{")));
	assert_false(sv_eq_nocase(SV("\xc4"), SV("\xe4")));
	assert_false(sv_eq_nocase(SV("-"), SV("\r")));
}

static void test_from(void **state)
{
	struct sv empty = sv_from("");

	(void)state;
	assert_null(sv_from(NULL).data);
	assert_int_equal(sv_from(NULL).n, 0);
	assert_non_null(empty.data);
	assert_int_equal(sv_from("abc").n, 3);
	assert_int_equal(SV("a\0b").n, 3);
}

static void test_starts_skip_first(void **state)
{
	struct sv abc = SV("abc");

	(void)state;
	assert_true(sv_starts_with(abc, SV("ab")));
	assert_true(sv_starts_with(abc, SV("abc")));
	assert_true(sv_starts_with(abc, SV("")));
	assert_true(sv_starts_with(abc, SV_EMPTY));
	assert_true(sv_starts_with(SV_EMPTY, SV_EMPTY));
	assert_false(sv_starts_with(abc, SV("abcd")));
	assert_false(sv_starts_with(abc, SV("b")));
	assert_false(sv_starts_with(SV_EMPTY, SV("a")));

	assert_true(sv_eq(sv_skip(abc, 0), abc));
	assert_true(sv_eq(sv_skip(abc, 2), SV("c")));
	assert_ptr_equal(sv_skip(abc, 3).data, abc.data + 3);
	assert_int_equal(sv_skip(abc, 3).n, 0);
	assert_ptr_equal(sv_skip(abc, 99).data, abc.data + 3);
	assert_int_equal(sv_skip(abc, SIZE_MAX).n, 0);
	assert_null(sv_skip(SV_EMPTY, 0).data);
	assert_null(sv_skip(SV_EMPTY, 1).data);

	assert_true(sv_eq(sv_first(abc, 2), SV("ab")));
	assert_true(sv_eq(sv_first(abc, 4), abc));
	assert_int_equal(sv_first(abc, 0).n, 0);
	assert_int_equal(sv_first(SV_EMPTY, 7).n, 0);
}

static void test_find(void **state)
{
	(void)state;
	assert_int_equal(sv_find(SV("abcabc"), 'b'), 1);
	assert_int_equal(sv_find(SV("abc"), 'x'), 3);
	assert_int_equal(sv_find(SV_EMPTY, 'x'), 0);
	assert_int_equal(sv_find((struct sv){"abc", 2}, 'c'), 2);
	assert_int_equal(sv_find(SV("a\0b"), 'b'), 2);
	assert_int_equal(sv_find(SV("a\xff"), '\xff'), 1);

	assert_int_equal(sv_find_sv(SV("ababac"), SV("abac")), 2);
	assert_int_equal(sv_find_sv(SV("abc"), SV("abcd")), 3);
	assert_int_equal(sv_find_sv((struct sv){"abcd", 3}, SV("cd")), 3);
	assert_int_equal(sv_find_sv(SV("abc"), SV("")), 0);
	assert_int_equal(sv_find_sv(SV("abc"), SV_EMPTY), 0);
	assert_int_equal(sv_find_sv(SV_EMPTY, SV_EMPTY), 0);
	assert_int_equal(sv_find_sv(SV_EMPTY, SV("a")), 0);
}

static void test_trim(void **state)
{
	(void)state;
	assert_true(sv_eq(sv_trim(SV(" \t\r\na b\n\r\t ")), SV("a b")));
	assert_true(sv_eq(sv_trim(SV("ab")), SV("ab")));
	assert_int_equal(sv_trim(SV(" \t ")).n, 0);
	assert_int_equal(sv_trim(SV_EMPTY).n, 0);
	assert_true(sv_eq(sv_trim(SV("\va\f")), SV("\va\f")));
}

static void check_split(struct sv list, const char *const *expected, size_t n)
{
	struct sv item;

	for (size_t i = 0; i < n; i++) {
		assert_true(sv_split(&list, ',', &item));
		assert_true(sv_eq(item, sv_from(expected[i])));
	}
	assert_false(sv_split(&list, ',', &item));
	assert_false(sv_split(&list, ',', &item));
}

static void test_split(void **state)
{
	static const char *const two[] = {"a", "b c"};
	static const char *const gaps[] = {"", "a", "", ""};
	static const char *const empty[] = {""};

	(void)state;
	check_split(SV("a , b c\t"), two, 2);
	check_split(SV(",a,,"), gaps, 4);
	check_split(SV(""), empty, 1);
	check_split(SV("  "), empty, 1);
	check_split(SV_EMPTY, NULL, 0);
}

static void test_has_token(void **state)
{
	(void)state;
	assert_true(sv_has_token(SV("keep-alive, Upgrade"), SV("upgrade")));
	assert_true(sv_has_token(SV("Upgrade"), SV("upgrade")));
	assert_true(sv_has_token(SV("a,\tUPGRADE ,b"), SV("upgrade")));
	assert_false(sv_has_token(SV("upgraded"), SV("upgrade")));
	assert_false(sv_has_token(SV("no upgrade"), SV("upgrade")));
	assert_false(sv_has_token(SV("up,grade"), SV("upgrade")));
	assert_false(sv_has_token(SV(""), SV("upgrade")));
	assert_false(sv_has_token(SV_EMPTY, SV("upgrade")));
}

static void test_to_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int r;
		uint64_t value;
	} rows[] = {
		{"0", 0, 0, 0},
		{"1", 0, -EINVAL, 0},
		{"9", 9, 0, 9},
		{"10", 9, -EINVAL, 0},
		{"007", 9, 0, 7},
		{"0000000000000000000000000000000000000000001", 1, 0, 1},
		{"65535", 65535, 0, 65535},
		{"65536", 65535, -EINVAL, 0},
		{"99", 100, 0, 99},
		{"100", 100, 0, 100},
		{"101", 100, -EINVAL, 0},
		{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, -EINVAL, 0},
		{"18446744073709551620", UINT64_MAX, -EINVAL, 0},
		{"184467440737095516150", UINT64_MAX, -EINVAL, 0},
		{"99999999999999999999999", UINT64_MAX, -EINVAL, 0},
		{"9007199254740991", 9007199254740991, 0, 9007199254740991},
		{"9007199254740992", 9007199254740991, -EINVAL, 0},
		{"", 9, -EINVAL, 0},
		{" 1", 9, -EINVAL, 0},
		{"1 ", 9, -EINVAL, 0},
		{"+1", 9, -EINVAL, 0},
		{"-1", UINT64_MAX, -EINVAL, 0},
		{"-0", 9, -EINVAL, 0},
		{"0x1", 9, -EINVAL, 0},
		{"1e1", 99, -EINVAL, 0},
		{"1.0", 99, -EINVAL, 0},
		{"\xd9\xa1", 99, -EINVAL, 0},
		{"1:", 99, -EINVAL, 0},
		{"1/", 99, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint64_t value = 4711;
		int r = sv_to_u64(sv_from(rows[i].text), rows[i].max, &value);

		if (r != rows[i].r || value != (r ? 4711 : rows[i].value)) {
			fail_msg("'%s' gave %d, %llu", rows[i].text, r, (unsigned long long)value);
		}
	}
	uint64_t value = 0;

	assert_int_equal(sv_to_u64(SV_EMPTY, 9, &value), -EINVAL);
	assert_int_equal(sv_to_u64((struct sv){"123", 2}, 99, &value), 0);
	assert_int_equal(value, 12);
	assert_int_equal(sv_to_u64(SV("1\0"), 99, &value), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_may_become),
		cmocka_unit_test(test_eq),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_starts_skip_first),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_has_token),
		cmocka_unit_test(test_to_u64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
