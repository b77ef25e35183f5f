/* SPDX-License-Identifier: MIT */
/* What counts as one mistake, how many are allowed, and which of several names is the best. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/config/similar.h"

#define TEN "abcdefghij"
#define FORTY TEN TEN TEN TEN

static bool is_similar(const char *word, const char *name)
{
	struct similar similar = similar_init(sv_from(word));

	similar_offer(&similar, name);
	return similar.name == name;
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *word, *name;
		bool is_similar;
	} rows[] = {
		{"listen", "listen", true},
		/* One letter in three, and one more. */
		{"xyz", "abc", false},
		{"xbc", "abc", true},
		{"xyc", "abc", false},
		{"xycdef", "abcdef", true},
		{"xyzdef", "abcdef", false},
		/* Left out, added, replaced, swapped: each is one mistake. */
		{"ab", "abc", true},
		{"abxc", "abc", true},
		{"axc", "abc", true},
		{"acb", "abc", true},
		{"bac", "abc", true},
		/* Not swapped: only one of the two letters stands where the other stood. */
		{"abxyz", "bcxyz", false},
		{"bcxyz", "abxyz", false},
		{"cab", "abc", false},
		/* The longest name, and one that is longer. */
		{FORTY, FORTY, true},
		{FORTY "k", FORTY, false},
		{FORTY, FORTY "k", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (is_similar(rows[i].word, rows[i].name) != rows[i].is_similar) {
			fail_msg("%s, %s", rows[i].word, rows[i].name);
		}
	}
}

/* The fewest mistakes win; of equally similar names, the first. */
static void test_best(void **state)
{
	struct similar similar = similar_init(SV("abcdef"));

	(void)state;
	similar_offer(&similar, "qqqqqq");
	assert_null(similar.name);
	similar_offer(&similar, "abcdxx");
	assert_string_equal(similar.name, "abcdxx");
	similar_offer(&similar, "abcdex");
	assert_string_equal(similar.name, "abcdex");
	similar_offer(&similar, "xbcdef");
	assert_string_equal(similar.name, "abcdex");
	similar_offer(&similar, "xxcdef");
	assert_string_equal(similar.name, "abcdex");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_best),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
