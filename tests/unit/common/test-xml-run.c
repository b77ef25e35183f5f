/* SPDX-License-Identifier: MIT */
/* The xml_text_run() and xml_text_cut() of the program: test-xml-text.c puts others in between. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <expat.h>
#include <stdio.h>
#include <string.h>

#include "common/macro.h"
#include "common/xml-expat.h"
#include "common/xml-text.h"

/* Whether expat, asked as it never is in the program, reads all of @text inside an element. */
static bool expat_reads(XML_Parser expat, struct sv text)
{
	static const char open[] = "<m>";

	assert_true(XML_ParserReset(expat, "UTF-8"));
	assert_int_equal(XML_Parse(expat, open, sizeof(open) - 1, 0), XML_STATUS_OK);
	return XML_Parse(expat, text.data, (int)text.n, 0) == XML_STATUS_OK &&
	       expat_token_index(expat) == (int64_t)(sizeof(open) - 1 + text.n);
}

/* @text is skipped whole if and only if expat reads it and @is_markup is false. */
static void check_text(XML_Parser expat, struct sv text, bool is_markup)
{
	bool is_run = xml_text_run(text) == text.n;

	if (is_run != (!is_markup && expat_reads(expat, text))) {
		fail_msg("%02x %02x %02x %02x of %zu", (unsigned char)text.data[0],
			 (unsigned char)text.data[1], (unsigned char)text.data[2],
			 (unsigned char)text.data[3], text.n);
	}
}

/* Every byte, every two bytes, and three and four of which the last are at an edge. */
static void test_characters(void **state)
{
	static const unsigned char edges[] = {0x00, '<',  'a',  0x7f, 0x80, 0x8f, 0x90, 0x9f,
					      0xa0, 0xbd, 0xbe, 0xbf, 0xc0, 0xc2, 0xef, 0xff};
	XML_Parser expat = XML_ParserCreate("UTF-8");

	(void)state;
	for (unsigned i = 0; i < 0x10000; i++) {
		char text[4] = {(char)(i >> 8), (char)i};
		bool is_markup = memchr("<&]", text[0], 3) || memchr("<&]", text[1], 3);
		bool is_first_markup = memchr("<&]", text[0], 3);

		if ((i & 0xff) == 0) {
			/* A CR alone waits for an LF. */
			is_first_markup |= text[0] == '\r';
			if (text[0] != '\r') {
				check_text(expat, (struct sv){text, 1}, is_first_markup);
			}
		}
		if (text[1] != '\r') {
			check_text(expat, (struct sv){text, 2}, is_markup);
		}
		for (size_t k = 0; text[0] < 0 && k < sizeof(edges); k++) {
			text[2] = (char)edges[k];
			check_text(expat, (struct sv){text, 3}, is_markup || text[2] == '<');
			for (size_t l = 0; (unsigned char)text[0] >= 0xf0 && l < sizeof(edges);
			     l++) {
				text[3] = (char)edges[l];
				check_text(expat, (struct sv){text, 4},
					   is_markup || text[2] == '<' || text[3] == '<');
			}
		}
	}
	XML_ParserFree(expat);
}

/* A run ends at the first byte that is not plain, wherever it is. */
static void test_end_of_run(void **state)
{
	static const char *const ends[] = {"<",    "&",    "]",    "\x01",
					   "\x1f", "\xff", "\xc3", "\xe2\x82"};
	static const char *const plain[] = {"a", ">", "\n", "\xc3\xa4", "\xe2\x82\xac"};
	enum { N_BEHIND = 64 }; /* so that the byte stands within a block */
	char text[3 * 200 + 2 + N_BEHIND];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ends) * ARRAY_LENGTH(plain); i++) {
		const char *end = ends[i / ARRAY_LENGTH(plain)];
		const char *one = plain[i % ARRAY_LENGTH(plain)];
		size_t n_one = strlen(one);

		for (size_t n = 0; n < 200; n++) {
			for (size_t k = 0; k < n; k++) {
				memcpy(text + k * n_one, one, n_one);
			}
			memcpy(text + n * n_one, end, strlen(end));
			size_t n_all = n * n_one + strlen(end);

			assert_int_equal(xml_text_run((struct sv){text, n_all}), n * n_one);
			memset(text + n_all, 'a', N_BEHIND);
			assert_int_equal(xml_text_run((struct sv){text, n_all + N_BEHIND}),
					 n * n_one);
		}
	}
}

#define HALF "0123456789abcdef0123456789abcdef"
#define LINE HALF HALF
#define PLAIN LINE LINE

/* Where the bytes are cut: behind a tag, a reference or a bracket, and not within a long tag. */
static void test_cuts(void **state)
{
	static const struct {
		const char *before, *after;
		bool cuts;
	} rows[] = {
		{"<m>", PLAIN PLAIN, true},
		{"<m><n a='b'>", PLAIN PLAIN LINE "</n>", true},
		{LINE "<m a='" LINE "' b='" LINE "'>", PLAIN PLAIN, true},
		{"&amp;012345678901", PLAIN PLAIN, true},
		{"]012345678901234\xc3\xa4", PLAIN PLAIN, true},
		{"\x82\xac"
		 "01234567890123",
		 PLAIN PLAIN, true},
		{"<m a='&lt;" LINE "'>", PLAIN PLAIN, true},
		/* The end of a tag that began in another piece, in as many bytes as it takes. */
		{"a='0123456789a'>", LINE HALF "0123456789abcdef", true},
		/* Too short, or nothing to cut at. */
		{"a='0123456789a'>", LINE HALF "0123456789abcde", false},
		/* The block is cut where a reference has ended, not at what follows the block. */
		{LINE LINE "&0123456789abcdef", PLAIN PLAIN ">", true},
		{"<m>", "short</m>", false},
		{"<m a='", PLAIN PLAIN, false},
		{"m a='", PLAIN PLAIN, false},
		{"", PLAIN PLAIN, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[512];
		int n = snprintf(text, sizeof(text), "%s%s", rows[i].before, rows[i].after);

		assert_int_equal(xml_text_cut((struct sv){text, (size_t)n}),
				 rows[i].cuts ? strlen(rows[i].before) : (size_t)n);
	}
	assert_int_equal(xml_text_cut(SV_EMPTY), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_end_of_run),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
