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

#include "gateway/config/lexer.h"

/* The lexer for a copy of @text behind which no byte may be read. The copy must be freed. */
static struct config_lexer lexer_of(const char *text, size_t n, char **ret_copy)
{
	*ret_copy = malloc(n ? n : 1);
	assert_non_null(*ret_copy);
	memcpy(*ret_copy, text, n);
	return config_lexer_init((struct sv){*ret_copy, n});
}

/* Writes the tokens, each with its text: w for words, s for strings, other kinds by themselves. */
static void describe(const char *text, size_t n_tokens, char *ret_tokens)
{
	char *copy;
	struct config_lexer lexer = lexer_of(text, strlen(text), &copy);
	struct config_token token;
	const char *what = "";
	size_t n = 0;

	*ret_tokens = '\0';
	for (;;) {
		char value[64];

		if (config_lexer_next(&lexer, &token, &what) != 0) {
			fail_msg("refused: '%s' (%s)", text, what);
		}
		if (token.kind == CONFIG_TOKEN_END) {
			break;
		}
		config_token_copy(&token, value);
		const char *kind = token.kind == CONFIG_TOKEN_WORD   ? "w"
				 : token.kind == CONFIG_TOKEN_STRING ? "s"
								     : "";

		n += (size_t)snprintf(ret_tokens + n, n_tokens - n, "%s%s%u ", kind, value,
				      token.line);
		assert_true(n < n_tokens);
	}
	assert_int_equal(config_lexer_next(&lexer, &token, &what), 0);
	assert_int_equal(token.kind, CONFIG_TOKEN_END);
	free(copy);
}

static void test_tokens(void **state)
{
	static const struct {
		const char *text;
		const char *tokens; /* each with its line */
	} rows[] = {
		{"", ""},
		{"wait = 5\n", "wwait1 =1 w51 "},
		{"# all\nwait = 5", "wwait2 =2 w52 "},
		{"wait=5#five\n", "wwait1 =1 w51 "},
		{"// c\nx", "wx2 "},
		{"a = /http//bind\n", "wa1 =1 w/http//bind1 "},
		{"a =//c\n", "wa1 =1 "},
		{"/* a\nb */ c\n", "wc2 "},
		{"/**/c /***/ d", "wc1 wd1 "},
		{"a = {1, # one\n2}", "wa1 =1 {1 w11 ,1 w22 }2 "},
		{"a = \"# no /* comment // here\"\n", "wa1 =1 s# no /* comment // here1 "},
		{"a = '# ${x} \"'\n", "wa1 =1 s# ${x} \"1 "},
		{"a = \"it's\"b", "wa1 =1 sit's1 wb1 "},
		{"\"\\\"#\\\\\" # x", "s\"#\\1 "},
		{"'\\'#\\\\' # x", "s'#\\1 "},
		{"'' \"\"", "s1 s1 "},
		{"# \" ' ${x} * + \x01\n", ""},
		{"a\t=\r\n1\n", "wa1 =1 w12 "},
		{"a += 1 b+=2", "wa1 +=1 w11 wb1 +=1 w21 "},
		{"(}\n)", "(1 }1 )2 "},
		{"b\xc3\xbc", "wb\xc3\xbc"
			      "1 "},
		{"a = $x", "wa1 =1 w$x1 "},
		{"\"\t\"", "s\t1 "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char tokens[256];

		describe(rows[i].text, sizeof(tokens), tokens);
		assert_string_equal(tokens, rows[i].tokens);
	}
}

/* The word that says what is wrong with @text, and where. */
static void refused(const char *text, size_t n, unsigned line, const char *word)
{
	char *copy;
	struct config_lexer lexer = lexer_of(text, n, &copy);
	struct config_token token;
	const char *what = "";
	int r;

	do {
		r = config_lexer_next(&lexer, &token, &what);
		if (r == 0 && token.kind == CONFIG_TOKEN_END) {
			fail_msg("taken: '%s'", text);
		}
	} while (r == 0);
	assert_int_equal(r, -EINVAL);
	assert_int_equal(token.line, line);
	if (!strstr(what, word)) {
		fail_msg("'%s' gave '%s'", text, what);
	}
	free(copy);
}

static void test_refused(void **state)
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
		{"a = 1\nb\x01 = 2", 2, "control"},
		{"a = \x7f", 1, "control"},
		{"a = \"\\x41\"", 1, "\\"},
		{"a = \"\\101\"", 1, "\\"},
		{"a = \"\\n\"", 1, "\\"},
		{"a = \"\\'\"", 1, "\\"},
		{"a = \"\\", 1, "\\"},
	};
	static const char zero[] = "a = 1\nb\0= 2";
	static const char zero_in_string[] = "a = 1\nb = '\0'";

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		refused(rows[i].text, strlen(rows[i].text), rows[i].line, rows[i].word);
	}
	refused(zero, sizeof(zero) - 1, 2, "control");
	refused(zero_in_string, sizeof(zero_in_string) - 1, 2, "control");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
