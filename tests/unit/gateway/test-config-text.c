/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/macro.h"
#include "gateway/config-text.h"

static void test_prepare(void **state)
{
	static const struct {
		const char *text;
		const char *prepared;
	} rows[] = {
		{"", ""},
		{"wait = 5\n", "wait = 5\n"},
		{"# all\nwait = 5", "     \nwait = 5"},
		{"wait = 5 # five\n", "wait = 5       \n"},
		{"wait = 5#five\n", "wait = 5     \n"},
		{"// c\nx", "    \nx"},
		{"a = /http//bind\n", "a = /http//bind\n"},
		{"a = b//c\n", "a = b//c\n"},
		{"a =//c\n", "a =   \n"},
		{"/* a\nb */ c\n", "    \n     c\n"},
		{"/**/c", "    c"},
		{"/***/c", "     c"},
		{"a = {1, # one\n2}", "a = {1,      \n2}"},
		{"a = \"# no /* comment // here\"\n", "a = \"# no /* comment // here\"\n"},
		{"a = '# ${x} \"'\n", "a = '# ${x} \"'\n"},
		{"a = \"it's\"", "a = \"it's\""},
		{"a = \"\\\"#\\\\\" # x", "a = \"\\\"#\\\\\"    "},
		{"a = '\\'#\\\\' # x", "a = '\\'#\\\\'    "},
		{"# \" ' ${x} * + \x01\n", "                \n"},
		{"a\t=\r\n1\n", "a\t=\r\n1\n"},
		{"a += 1", "a += 1"},
		{"a = {1}}", "a = {1}}"},
		{"a = \"{\" # {", "a = \"{\"    "},
		{"b\xc3\xbc", "b\xc3\xbc"},
		{"a = $x", "a = $x"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		/* No byte after the end may be read. */
		size_t n = strlen(rows[i].text);
		char *text = malloc(n + 1);
		const char *what = "";
		unsigned line = 0;

		assert_non_null(text);
		memcpy(text, rows[i].text, n + 1);
		if (config_text_prepare(text, n, &line, &what) != 0) {
			fail_msg("refused: '%s' (%s)", rows[i].text, what);
		}
		assert_string_equal(text, rows[i].prepared);
		free(text);
	}
}

static void test_prepare_refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *word;
	} rows[] = {
		{"a = 1\nb = \"x\nc = 2\n", 2, "string"},
		{"a = 'x", 1, "string"},
		{"a = \"x\\\"", 1, "string"},
		{"\n\"", 2, "string"},
		{"a = 1\n\n/* x\n\n", 3, "comment"},
		{"/* * /", 1, "comment"},
		{"/*/", 1, "comment"},
		{"\na = \"${HOME}\"", 2, "${"},
		{"a = ${HOME}", 1, "${"},
		{"a = x${HOME}", 1, "${"},
		{"a = *", 1, "*"},
		{"a = b/*c*/", 1, "*"},
		{"a = {*}", 1, "*"},
		{"a + 1", 1, "+"},
		{"a = {1\n", 1, "{"},
		{"a = 1\ndomain x {\nb = {1\n}\n", 2, "{"},
		{"a {}\nb {\nc {}\n", 2, "{"},
		{"a = 1\nb\x01 = 2", 2, "control"},
		{"a = \x7f", 1, "control"},
		{"a = \"\\x41\"", 1, "\\"},
		{"a = \"\\101\"", 1, "\\"},
		{"a = \"\\n\"", 1, "\\"},
		{"a = \"\\'\"", 1, "\\"},
		{"a = \"\\", 1, "\\"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		size_t n = strlen(rows[i].text);
		char *text = malloc(n + 1);
		const char *what = "";
		unsigned line = 0;

		assert_non_null(text);
		memcpy(text, rows[i].text, n + 1);
		if (config_text_prepare(text, n, &line, &what) != -EINVAL) {
			fail_msg("taken: '%s'", rows[i].text);
		}
		assert_int_equal(line, rows[i].line);
		if (!strstr(what, rows[i].word)) {
			fail_msg("'%s' gave '%s'", rows[i].text, what);
		}
		free(text);
	}
	char zero[] = "a = 1\nb\0= 2";
	unsigned line = 0;
	const char *what = "";

	assert_int_equal(config_text_prepare(zero, sizeof(zero) - 1, &line, &what), -EINVAL);
	assert_int_equal(line, 2);
}

static void test_key_line(void **state)
{
	static const char text[] = "wait = 1\n"
				   "list = {\n"
				   "  hold, \"polling = 3\",\n"
				   "  'hold = 4' }\n"
				   "hold\n"
				   "  = 5\n"
				   "wait = 6\n"
				   "list += {7}\n"
				   "domain \"hold\" { tls = off }\n";

	(void)state;
	assert_int_equal(config_text_key_line(text, "wait"), 7);
	assert_int_equal(config_text_key_line(text, "hold"), 5);
	assert_int_equal(config_text_key_line(text, "list"), 8);
	assert_int_equal(config_text_key_line(text, "tls"), 9);
	assert_int_equal(config_text_key_line(text, "polling"), 0);
	assert_int_equal(config_text_key_line(text, "domain"), 0);
	assert_int_equal(config_text_key_line("", "wait"), 0);
}

static void test_section_lines(void **state)
{
	static const char text[] = "list = {\n"
				   "a, b }\n"
				   "domain \"{\" {\n"
				   "  connect = { \"}\" }\n"
				   "}\n"
				   "domain 'b'\n"
				   "{ connect += {x} }\n"
				   "domain c { } domain d {}\n";
	unsigned lines[6];

	(void)state;
	config_text_section_lines(text, 6, lines);
	assert_int_equal(lines[0], 3);
	assert_int_equal(lines[1], 6);
	assert_int_equal(lines[2], 8);
	assert_int_equal(lines[3], 8);
	assert_int_equal(lines[4], 0);
	assert_int_equal(lines[5], 0);
	lines[1] = 99;
	config_text_section_lines(text, 1, lines);
	assert_int_equal(lines[0], 3);
	assert_int_equal(lines[1], 99);
}

static void write_bytes(const char *path, size_t n)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < n; i++) {
		fputc('#', file);
	}
	assert_int_equal(fclose(file), 0);
}

static void test_read(void **state)
{
	char path[] = "/tmp/doab-test-XXXXXX";
	int fd = mkstemp(path);
	char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(config_text_read(path, &text, &n), 0);
	assert_int_equal(n, 0);
	assert_string_equal(text, "");
	free(text);

	write_bytes(path, CONFIG_TEXT_MAX);
	assert_int_equal(config_text_read(path, &text, &n), 0);
	assert_int_equal(n, CONFIG_TEXT_MAX);
	assert_int_equal(strlen(text), CONFIG_TEXT_MAX);
	free(text);

	text = NULL;
	write_bytes(path, CONFIG_TEXT_MAX + 1);
	assert_int_equal(config_text_read(path, &text, &n), -EFBIG);
	assert_int_equal(config_text_read("/dev/zero", &text, &n), -EFBIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_text_read(path, &text, &n), -ENOENT);
	assert_int_equal(config_text_read("/tmp", &text, &n), -EISDIR);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prepare),  cmocka_unit_test(test_prepare_refuses),
		cmocka_unit_test(test_key_line), cmocka_unit_test(test_section_lines),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
