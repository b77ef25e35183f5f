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
	while (!sheet.is_coloured && sv_split(&rest, '\n', &line)) {
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
	sheet.is_coloured = true;
	sheet_line(&sheet, "a", SHEET_BAD, NULL, "b");
	expect("  a                       \033[31mb\033[0m\n");
	sheet_line(&sheet, "a", SHEET_PLAIN, NULL, "b");
	expect("  a                       b\n");
	sheet_paragraph(&sheet, SHEET_GOOD, 0, "b");
	expect("\033[32mb\033[0m\n");
}

static void assert_holds(struct buffer *buffer, const char *expected)
{
	assert_int_equal(sheet.r, 0);
	if (!sv_eq(buffer_sv(buffer), sv_from(expected))) {
		fail_msg("expected\n%s\ngot\n%.*s", expected, SV_ARGS(buffer_sv(buffer)));
	}
	buffer_deinit(buffer);
}

static void test_json_lines(void **state)
{
	(void)state;
	sheet.form = SHEET_JSON;
	sheet_heading(&sheet, "heading");
	sheet_line(&sheet, "a", SHEET_PLAIN, NULL, "%s", "\"\033\n\xff");
	sheet_section(&sheet, "TLS");
	sheet_line(&sheet, "b", SHEET_BAD, TIMES(1, 2003004), "c");
	sheet_line(&sheet, "", SHEET_WARNING, TIMES(SHEET_NO_TIME, 0), "d");
	sheet_gap(&sheet);
	assert_holds(&sheet.out,
		     "{\"section\":\"\",\"label\":\"a\",\"status\":\"info\",\"text\":"
		     "\"\\\"\\u001b\\u000a\\ufffd\","
		     "\"step_ms\":null,\"start_ms\":null},"
		     "{\"section\":\"TLS\",\"label\":\"b\",\"status\":\"failed\",\"text\":\"c\","
		     "\"step_ms\":0.001,\"start_ms\":2003.004},"
		     "{\"section\":\"TLS\",\"label\":\"b\",\"status\":\"warning\",\"text\":\"d\","
		     "\"step_ms\":null,\"start_ms\":0.000}");
}

static void test_json_paragraphs(void **state)
{
	(void)state;
	sheet_paragraph(&sheet, SHEET_WARNING, 2, "x");
	expect("! x\n");
	sheet.form = SHEET_JSON;
	sheet_paragraph(&sheet, SHEET_WARNING, 2, "x");
	sheet_paragraph(&sheet, SHEET_WARNING, 2, "y");
	sheet_paragraph(&sheet, SHEET_GOOD, 0, "z");
	assert_holds(&sheet.out, "");
	assert_holds(&sheet.warnings, "\"x\",\"y\"");
	assert_holds(&sheet.paragraphs, "\"z\"");
}

/* At the limit, and one above it. */
static void test_json_cut(void **state)
{
	char text[SHEET_TEXT_MAX + 2];

	(void)state;
	sheet.form = SHEET_JSON;
	for (size_t n = SHEET_TEXT_MAX; n <= SHEET_TEXT_MAX + 1; n++) {
		memset(text, 'x', n);
		text[n] = '\0';
		sheet_paragraph(&sheet, SHEET_PLAIN, 0, "%s", text);
		assert_int_equal(sheet.paragraphs.n, SHEET_TEXT_MAX + strlen("\"\""));
		buffer_deinit(&sheet.paragraphs);
	}
	/* A label that lines may continue is cut, too. */
	memset(text, 'y', SHEET_KEPT_LABEL_MAX);
	text[SHEET_KEPT_LABEL_MAX] = '\0';
	sheet_line(&sheet, text, SHEET_PLAIN, NULL, "z");
	assert_int_equal(strlen(sheet.label), SHEET_KEPT_LABEL_MAX - 1);
}

static int scenario(void *userdata)
{
	const enum sheet_form *form = userdata;

	sheet = (struct sheet){.form = *form};
	sheet_section(&sheet, "title");
	sheet_line(&sheet, "label", SHEET_PLAIN, TIMES(1, 1), "%s", "text");
	sheet_paragraph(&sheet, SHEET_PLAIN, 2, "%s", "text");
	sheet_deinit(&sheet);
	return sheet.r;
}

static void test_no_memory(void **state)
{
	enum sheet_form forms[] = {SHEET_TEXT, SHEET_JSON};

	(void)state;
	failmalloc_each(scenario, &forms[0], 4);
	failmalloc_each(scenario, &forms[1], 4);
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
		TEST(test_lines),      TEST(test_times),           TEST(test_labels),
		TEST(test_wrapping),   TEST(test_sections),        TEST(test_escaping),
		TEST(test_cut),        TEST(test_colours),         TEST(test_no_memory),
		TEST(test_json_lines), TEST(test_json_paragraphs), TEST(test_json_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
