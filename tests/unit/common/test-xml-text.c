/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/common/xml-skip-real.h"

enum {
	N_LONG = 3 * XML_TEXT_WORTH,
};

/* "@" becomes N_LONG characters without markup. The caller frees it. */
static struct sv lengthen(const char *pattern)
{
	static const char words[] = "a long text > of many words,\r\n\xc3\xa4 \xe2\x82\xac '\"";
	struct buffer text = BUFFER_INIT;

	for (; *pattern; pattern++) {
		if (*pattern != '@') {
			LOG(&text, "%c", *pattern);
			continue;
		}
		for (size_t n = 0; n < N_LONG; n += sizeof(words) - 1) {
			LOG(&text, "%s", words);
		}
	}
	struct sv copy = {malloc(text.n), text.n};

	assert_non_null(copy.data);
	memcpy((char *)copy.data, buffer_sv(&text).data, text.n);
	buffer_deinit(&text);
	return copy;
}

#define LINE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PLAIN LINE LINE

/* Skipped or not, and cut anywhere, the items are the same. */
static void check_skipping(struct setup *one, const char *pattern)
{
	struct sv text = lengthen(pattern);

	skip_check(one, text, SKIP_MODES);
	free((char *)text.data);
}

static void test_skipping(void **state)
{
	static const struct xml_scan_options large = {
		.n_element_max = 1024 * 1024,
		.with_attributes = 1 << TOLD,
		.with_children = 1 << STREAMS,
	};
	static const char *const inside[] = {
		"<m xmlns='a'>@</m>",
		"<m xmlns='a'><n>@</n>@<n a='@'>@</n>@</m><m xmlns='a'>@</m>",
		"<m xmlns='a'>@&lt;@&#x20ac;@]@]]@]@>@</m>",
		"<m xmlns='a' b='@' c=\"&lt;\"><n d='@&amp;@'/>@</m>",
		"<m xmlns='a'>@<![CDATA[@]]@]>@]]>@]]&gt;@</m>",
		"<m xmlns='a'>@<![CDATA[@<n>@&@]]><n>@</n></m>",
		"<m xmlns='a'><n\r\n>\r\n@\r</n>\r@</m>\r\n",
		"<s:f xmlns:s='urn:streams'><a xmlns='x'>@</a><b xmlns='x'>@</b>@</s:f>",
		"<t xmlns='urn:told' id='@'>@</t><t xmlns='urn:told' id='1'>@</t>",
		"<m xmlns='a'>@",
		"<m xmlns='a'>@<",
		"<m xmlns='a'>@<![CDATA[@",
		/* Refused. */
		"@",
		"<m xmlns='a'>@</m>@",
		"<m xmlns='a'>@]]>@</m>",
		"<m xmlns='a'>]@]]>@</m>",
		"<m xmlns='a'>@]]&a;@</m>",
		"<m xmlns='a'>@<!-- @ -->@</m>",
		"<m xmlns='a'>@<?p @?>@</m>",
		"<m xmlns='a'>@</n>",
		"<m xmlns='a'>@<n b='@<'/></m>",
		"<m xmlns='a'>@\x01@</m>",
		"<m xmlns='a'>@\xff@</m>",
		"<m xmlns='a'>@\xe2\x82@</m>",
		"<m xmlns='a'>@\xef\xbf\xbf@</m>",
		"<m xmlns='a'>@&@;@</m>",
		"<m xmlns='a'>@</m><![CDATA[@]]>",
		"<!-- @ --><m>@</m>",
	};
	struct setup *one = *state;

	one->options = &large;
	for (size_t i = 0; i < ARRAY_LENGTH(inside); i++) {
		char pattern[512];

		one->rootless = false;
		snprintf(pattern, sizeof(pattern), "%s%s", ROOT, inside[i]);
		check_skipping(one, pattern);
		snprintf(pattern, sizeof(pattern), "<m>%s</m>", inside[i]);
		check_skipping(one, pattern);
		one->rootless = true;
		check_skipping(one, inside[i]);
	}
}

/* Of a long text, whole or in pieces, expat reads next to nothing. */
static void test_skips(void **state)
{
	enum {
		N_TEXT = 100 * 1000,
		N_PIECE = 1000,
	};
	static const struct xml_scan_options large = {.n_element_max = 2 * N_TEXT};
	struct setup *one = *state;
	const char *const texts[] = {"x", "\xd0\xb6", "\xe2\x82\xac", "text\r\n",
				     PLAIN PLAIN PLAIN PLAIN " &amp; ]"};

	one->options = &large;
	skip_mode = SKIP_USUALLY;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(texts); i++) {
		const char *piece = texts[i / 2];
		struct sv text =
			long_text(ROOT, "<m a='b'>", piece, N_TEXT / strlen(piece), "</m>");
		struct xml_scan scan;
		struct xml_item item;
		int r;

		skip_n_bytes = 0;
		xml_scan_init(&scan, one->pool, one->options);
		for (struct sv rest = text; rest.n;) {
			struct sv fed = sv_first(rest, i % 2 ? N_PIECE : rest.n);

			assert_int_equal(xml_scan_feed(&scan, fed.data, fed.n), 0);
			while (xml_scan_next(&scan, &item, &r)) {
			}
			assert_int_equal(r, 0);
			rest = sv_skip(rest, fed.n);
		}
		assert_true(xml_scan_is_idle(&scan));
		assert_true(skip_n_bytes > N_TEXT * 3 / 4);
		xml_scan_deinit(&scan);
		free((char *)text.data);
	}
}

/* A long attribute with many ">", each behind a long text, is not read again at each of them. */
static void test_rescans_no_more(void **state)
{
	enum {
		N_PIECES = 8 * 1000,
	};
	static const struct xml_scan_options large = {.n_element_max = 2 * 1024 * 1024};
	struct setup *one = *state;
	struct sv text = long_text(ROOT, "<m a='", PLAIN "> ", N_PIECES, "'/>");

	one->options = &large;
	skip_mode = SKIP_USUALLY;
	/* Its bytes times half the number of cuts would be more than the scan allows. */
	assert_true(text.n * N_PIECES / 2 > XML_RESCAN_MAX);
	struct pieces pieces = {.rest = text, .way = PIECES_WHOLE};
	struct buffer log = BUFFER_INIT;

	run_outcome(&pieces, &log, one);
	pieces_end(&pieces);
	assert_true(sv_eq(buffer_sv(&log), SV("0")));
	buffer_deinit(&log);
	free((char *)text.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_skipping),
		TEST(test_skips),
		TEST(test_rescans_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
