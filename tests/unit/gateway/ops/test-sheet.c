/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gateway/ops/sheet.h"
#include "tests/unit/failmalloc.h"

static struct sheet sheet;

/* Checks that the sheet holds @expected and that each line fits, and empties it. */
static void expect(const char *expected)
{
	struct sv rest = buffer_sv(&sheet.out);
	struct sv line;

	assert_int_equal(sheet.r, 0);
	if (!sv_eq(rest, sv_from(expected))) {
		fail_msg("expected\n%s\ngot\n%.*s", expected, SV_ARGS(rest));
	}
	while (!sheet.coloured && sv_split(&rest, '\n', &line)) {
		assert_true(line.n <= SHEET_WIDTH);
	}
	buffer_deinit(&sheet.out);
}

#define TIMES(step_us, start_us) (&(const struct sheet_times){step_us, start_us})
#define TEN "1234567890"
/* Where texts begin. */
#define MARGIN "                          "

static void test_lines(void **state)
{
	(void)state;
	sheet_line(&sheet, "label", SHEET_PLAIN, NULL, "text %d", 5);
	expect("  label                   text 5\n");
	sheet_line(&sheet, "label", SHEET_PLAIN, TIMES(12345, 99999), "text");
	expect("  label                   text                                                     "
	       "  12 ms     99 ms\n");
	sheet_line(&sheet, "", SHEET_PLAIN, NULL, "below");
	expect(MARGIN "below\n");
}

static void test_times(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} rows[] = {
		{SHEET_NO_TIME, "          "}, {0, "    0.0 ms"},      {99, "    0.0 ms"},
		{100, "    0.1 ms"},           {1050, "    1.0 ms"},   {9999, "    9.9 ms"},
		{10000, "     10 ms"},         {999999, "    999 ms"}, {30000000, "  30000 ms"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char expected[SHEET_WIDTH + 2];

		snprintf(expected, sizeof(expected), "  a                       b%53s%s%s\n", "",
			 rows[i].text, "    1.2 ms");
		sheet_line(&sheet, "a", SHEET_PLAIN, TIMES(rows[i].us, 1234), "b");
		expect(expected);
	}
}

/* A label as wide as its column keeps a blank. A wider one is followed by the text if it fits, or
 * has a line of its own. */
static void test_labels(void **state)
{
	(void)state;
	sheet_line(&sheet, TEN TEN "123", SHEET_PLAIN, NULL, "text");
	expect("  " TEN TEN "123 text\n");
	sheet_line(&sheet, TEN TEN "1234", SHEET_PLAIN, NULL, "text");
	expect("  " TEN TEN "1234  text\n");
	sheet_line(&sheet, TEN TEN TEN TEN TEN TEN, SHEET_PLAIN, TIMES(1000, 1000), "%s",
		   TEN "123456");
	expect("  " TEN TEN TEN TEN TEN TEN "  " TEN "123456    1.0 ms    1.0 ms\n");
	sheet_line(&sheet, TEN TEN TEN TEN TEN TEN, SHEET_PLAIN, TIMES(1000, 1000), "%s",
		   TEN "1234567");
	expect("  " TEN TEN TEN TEN TEN TEN "\n" MARGIN TEN
	       "1234567                                         1.0 ms    1.0 ms\n");
	/* Wider than the sheet. */
	sheet_line(&sheet, TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN, SHEET_PLAIN, NULL, "text");
	expect("  " TEN TEN TEN TEN TEN TEN TEN TEN TEN "12345678\n  90\n" MARGIN "text\n");
}

/* Breaks between words; within a word only if it is longer than a line. */
static void test_wrapping(void **state)
{
	(void)state;
	sheet_line(&sheet, "a", SHEET_PLAIN, NULL, "%s", TEN TEN TEN TEN TEN TEN " " TEN " 12 34");
	expect("  a                       " TEN TEN TEN TEN TEN TEN " " TEN " 12\n" MARGIN "34\n");
	sheet_line(&sheet, "a", SHEET_PLAIN, TIMES(1000, 2000), "%s",
		   TEN TEN TEN TEN TEN " 123 12 34");
	expect("  a                       " TEN TEN TEN TEN TEN " 123    1.0 ms    2.0 ms\n" MARGIN
	       "12 34\n");
	sheet_line(&sheet, "a", SHEET_PLAIN, NULL, "%s", TEN TEN TEN TEN TEN TEN TEN TEN);
	expect("  a                       " TEN TEN TEN TEN TEN TEN TEN "1234\n" MARGIN "567890\n");
	sheet_paragraph(&sheet, SHEET_PLAIN, 4, "%s",
			TEN TEN TEN TEN TEN TEN TEN TEN TEN " 123456789 next");
	expect(TEN TEN TEN TEN TEN TEN TEN TEN TEN " 123456789\n    next\n");
	sheet_paragraph(&sheet, SHEET_PLAIN, 4, "%s",
			TEN TEN TEN TEN TEN TEN TEN TEN TEN " 1234567890");
	expect(TEN TEN TEN TEN TEN TEN TEN TEN TEN "\n    1234567890\n");
}

static void test_sections(void **state)
{
	(void)state;
	sheet_heading(&sheet, "b\xc3\xbc"
			      "cher.example");
	expect("b\xc3\xbc"
	       "cher.example\n");
	sheet_section(&sheet, "DNS");
	sheet_line(&sheet, "a", SHEET_PLAIN, TIMES(1000, 2000), "b");
	expect("\nDNS                                                                              "
	       "     step     start\n"
	       "  a                       b                                                        "
	       " 1.0 ms    2.0 ms\n");
	sheet_section(&sheet, "TLS");
	expect("\nTLS\n");
	sheet_gap(&sheet);
	expect("\n");
}

/* All but printable ASCII is escaped in texts, labels and paragraphs. */
static void test_escaping(void **state)
{
	(void)state;
	sheet_line(&sheet, "a\033[31m\n", SHEET_PLAIN, NULL, "%s",
		   "x\r\nA session would work\t\x7f\xc3\xa9\xe2\x80\xae\\");
	expect("  a\\x1b[31m\\x0a           x\\x0d\\x0aA session would "
	       "work\\x09\\x7f\\xc3\\xa9\\xe2\\x80\\xae\\\\\n");
	sheet_paragraph(&sheet, SHEET_PLAIN, 0, "%s", "\xff\x1b]0;title\a");
	expect("\\xff\\x1b]0;title\\x07\n");
}

static void test_cut(void **state)
{
	_cleanup_(buffer_deinit) struct buffer buffer = BUFFER_INIT;
	char text[SHEET_TEXT_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(sheet_escape(&buffer, (struct sv){text, SHEET_TEXT_MAX}), 0);
	assert_int_equal(buffer.n, SHEET_TEXT_MAX);
	buffer_clear(&buffer);
	assert_int_equal(sheet_escape(&buffer, (struct sv){text, SHEET_TEXT_MAX + 1}), 0);
	assert_int_equal(buffer.n, SHEET_TEXT_MAX + 3);
	assert_memory_equal(buffer_sv(&buffer).data + SHEET_TEXT_MAX - 1, "x...", 4);
}

/* Only around texts; none for plain ones, or when colours are off. */
static void test_colours(void **state)
{
	(void)state;
	sheet_line(&sheet, "a", SHEET_BAD, NULL, "b");
	expect("  a                       b\n");
	sheet.coloured = true;
	sheet_line(&sheet, "a", SHEET_BAD, NULL, "b");
	expect("  a                       \033[31mb\033[0m\n");
	sheet_line(&sheet, "a", SHEET_PLAIN, NULL, "b");
	expect("  a                       b\n");
	sheet_paragraph(&sheet, SHEET_GOOD, 0, "b");
	expect("\033[32mb\033[0m\n");
}

static int scenario(void *userdata)
{
	(void)userdata;
	sheet = (struct sheet){.r = 0};
	sheet_section(&sheet, "title");
	sheet_line(&sheet, "label", SHEET_PLAIN, TIMES(1, 1), "%s", "text");
	sheet_paragraph(&sheet, SHEET_PLAIN, 2, "%s", "text");
	sheet_deinit(&sheet);
	return sheet.r;
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 4);
}

static int setup(void **state)
{
	(void)state;
	sheet = (struct sheet){.r = 0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sheet_deinit(&sheet);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_lines),    TEST(test_times),    TEST(test_labels),
		TEST(test_wrapping), TEST(test_sections), TEST(test_escaping),
		TEST(test_cut),      TEST(test_colours),  TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
