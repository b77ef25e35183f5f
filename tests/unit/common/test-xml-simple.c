/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <expat.h>

#include "common/xml-expat.h"
#include "tests/unit/common/xml-skip-real.h"

/* How deep expat is in elements, and how often it has come back to the outermost one. */
struct depth {
	unsigned depth, n_ends;
};

static void on_start(void *userdata, const char *name, const char **attributes)
{
	struct depth *depth = userdata;

	(void)name;
	(void)attributes;
	depth->depth++;
}

static void on_end(void *userdata, const char *name)
{
	struct depth *depth = userdata;

	(void)name;
	depth->depth--;
	depth->n_ends += depth->depth == 1;
}

/* Whether expat, asked as it is in the program, reads all of @text as one element in another. */
static bool expat_reads(XML_Parser expat, struct sv text)
{
	struct depth depth = {0};

	assert_true(XML_ParserReset(expat, "UTF-8"));
	XML_SetUserData(expat, &depth);
	XML_SetElementHandler(expat, on_start, on_end);
	assert_int_equal(XML_Parse(expat, "<x>", 3, 0), XML_STATUS_OK);
	return XML_Parse(expat, text.data, (int)text.n, 0) == XML_STATUS_OK && depth.depth == 1 &&
	       depth.n_ends == 1 && expat_token_index(expat) == (int64_t)(3 + text.n);
}

static void check_read(const char *text, struct xml_simple expected)
{
	struct xml_simple simple;

	if (!usual_simple_read(sv_from(text), &simple)) {
		fail_msg("not simple: %s", text);
	}
	assert_int_equal(simple.n, expected.n);
	assert_int_equal(simple.n_open, expected.n_open);
	assert_true(sv_eq(simple.name, expected.name));
	assert_true(sv_eq(simple.uri, expected.uri));
}

static void test_parts(void **state)
{
	(void)state;
	check_read("<m/>", (struct xml_simple){4, 4, SV("m"), SV_EMPTY});
	check_read("<m />rest", (struct xml_simple){5, 5, SV("m"), SV_EMPTY});
	check_read("<m></m><m/>", (struct xml_simple){7, 3, SV("m"), SV_EMPTY});
	check_read("<_m-1.a  a='>'><b xmlns='c'>x &lt;&gt;&amp;&apos;&quot;\r\n</b></_m-1.a>",
		   (struct xml_simple){70, 15, SV("_m-1.a"), SV_EMPTY});
	check_read("<m xml:lang=\"'\" xmlns=\"a:b\"></m>",
		   (struct xml_simple){32, 28, SV("m"), SV("a:b")});
}

/* Left to expat, also what is well-formed. */
static void test_not_simple(void **state)
{
	static const char *const rows[] = {
		/* Not complete. */
		"",
		"<",
		"<m",
		"<m ",
		"<m a",
		"<m a=",
		"<m a='",
		"<m a='b'",
		"<m/",
		"<m>",
		"<m><",
		"<m></",
		"<m></m",
		"<m>text",
		"<m>&amp",
		"<m><n/>",
		/* Not an element. */
		" <m/>",
		"m",
		"</m>",
		"<>",
		"< m/>",
		"<1/>",
		"<-m/>",
		"<!-- a -->",
		"<?a?>",
		"<m><!-- a --></m>",
		"<m><?a?></m>",
		"<m><![CDATA[a]]></m>",
		/* Names. */
		"<a:m/>",
		"<:m/>",
		"<m:/>",
		"<\xc3\xa4/>",
		"<m><a:n/></m>",
		"<m a:b='c'/>",
		"<m xmlns:a='b'/>",
		"<m xml:space='a'/>",
		"<m xml:lang:a='b'/>",
		"<m 1='a'/>",
		/* Tags. */
		"<m a='1'b='2'/>",
		"<m a ='1'/>",
		"<m a= '1'/>",
		"<m a=1/>",
		"<m a='1\"/>",
		"<m\ta='1'/>",
		"<m/ >",
		"<m//>",
		"<m a='<'/>",
		"<m a='&lt;'/>",
		"<m a='\t'/>",
		"<m a='\x7f'/>",
		"<m a='\xc3\xa4'/>",
		"<m></m >",
		"<m></ m>",
		"<m></n>",
		"<m></mm>",
		"<m><n></m></n>",
		"<m a='1' a='2'/>",
		"<m a='' b='' a=''/>",
		"<m xml:lang='a' xml:lang='b'/>",
		"<m xmlns='a' xmlns='a'/>",
		/* Namespaces. */
		"<m xmlns=''/>",
		"<m xmlns='http://www.w3.org/XML/1998/namespace'/>",
		"<m xmlns='http://www.w3.org/2000/xmlns/'/>",
		"<m><n xmlns=''/></m>",
		/* Text. */
		"<m>]</m>",
		"<m>&#65;</m>",
		"<m>&a;</m>",
		"<m>&lt</m>",
		"<m>&LT;</m>",
		"<m>& </m>",
		"<m>\x01</m>",
		"<m>\xff</m>",
		"<m>\xe2\x82</m>",
		"<m>\xef\xbf\xbf</m>",
	};
	struct xml_simple simple;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (usual_simple_read(sv_from(rows[i]), &simple)) {
			fail_msg("simple: %s", rows[i]);
		}
	}
	assert_false(usual_simple_read((struct sv){"<m>\0</m>", 8}, &simple));
}

static bool is_simple(const char *before, const char *piece, size_t n, const char *after)
{
	struct buffer text = BUFFER_INIT;
	struct xml_simple simple;

	LOG(&text, "%s", before);
	for (size_t i = 0; i < n; i++) {
		LOG(&text, "%s", piece);
	}
	LOG(&text, "%s", after);
	bool result = usual_simple_read(buffer_sv(&text), &simple);

	buffer_deinit(&text);
	return result;
}

static void test_limits(void **state)
{
	struct buffer text = BUFFER_INIT;
	struct xml_simple simple;

	(void)state;
	assert_true(is_simple("<m>", "x", XML_SIMPLE_MAX - 7, "</m>"));
	assert_false(is_simple("<m>", "x", XML_SIMPLE_MAX - 6, "</m>"));
	assert_true(is_simple("<m><m><m><m><m><m><m><m>", "<m/>", 1,
			      "</m></m></m></m></m></m></m></m>"));
	assert_false(is_simple("<m><m><m><m><m><m><m><m><m>", "", 0,
			       "</m></m></m></m></m></m></m></m></m>"));
	LOG(&text, "<m");
	for (int i = 0; i < XML_SIMPLE_ATTRIBUTES_MAX; i++) {
		LOG(&text, " a%d=''", i);
	}
	size_t n = text.n;

	LOG(&text, "/>");
	assert_true(usual_simple_read(buffer_sv(&text), &simple));
	buffer_truncate(&text, n);
	LOG(&text, " b=''/>");
	assert_false(usual_simple_read(buffer_sv(&text), &simple));
	buffer_deinit(&text);
}

/* Where a root is cut so that its children can be skipped. */
static void test_open(void **state)
{
	(void)state;
	assert_int_equal(xml_simple_open(SV("<body a='>' xmlns='b'><m/></body>")), 22);
	assert_int_equal(xml_simple_open(SV("<body>")), 6);
	assert_int_equal(xml_simple_open(SV("<body/>")), 0);
	assert_int_equal(xml_simple_open(SV("<body xmlns:a='b'>")), 0);
	assert_int_equal(xml_simple_open(SV("<body")), 0);
	assert_int_equal(xml_simple_open(SV_EMPTY), 0);
}

static uint32_t chance;

static uint32_t choose(uint32_t n)
{
	chance = chance * 1664525 + 1013904223;
	return (chance >> 8) % n;
}

/* What elements are made of, well-formed or nearly so. */
static void write_tokens(struct buffer *text)
{
	static const char *const tokens[] = {
		"<m>",
		"<m>",
		"</m>",
		"</m>",
		"<n>",
		"</n>",
		"<m/>",
		"<m",
		">",
		">",
		"/>",
		"/",
		"<",
		" ",
		" ",
		"\t",
		"\n",
		"\r",
		" a='b'",
		" a=\"b\"",
		" b='>'",
		" xmlns='u'",
		" xmlns='jabber:client'",
		" xmlns=''",
		" xmlns='http://www.w3.org/2000/xmlns/'",
		" xml:lang='en'",
		" xmlns:p='u'",
		"p:",
		"'",
		"\"",
		"=",
		"a",
		"1",
		"-",
		":",
		"]",
		"]]>",
		"&lt;",
		"&amp;",
		"&",
		";",
		"&#65;",
		"\xc3\xa4",
		"\xe2\x82\xac",
		"\xff",
		"\x01",
		"text",
		"<!--",
		"-->",
		"<![CDATA[",
		"<?",
		"?>",
	};

	LOG(text, "<m");
	for (uint32_t n = 1 + choose(8); n; n--) {
		LOG(text, "%s", tokens[choose(choose(2) ? 12 : ARRAY_LENGTH(tokens))]);
	}
	LOG(text, "%s", choose(2) ? "</m>" : "");
}

/* What is simple is one element to expat, too. */
static void test_beside_expat(void **state)
{
	XML_Parser expat = XML_ParserCreateNS("UTF-8", XML_NAME_SEPARATOR);
	unsigned n_simple = 0;

	(void)state;
	chance = 1;
	for (unsigned i = 0; i < 20 * 1000; i++) {
		struct buffer text = BUFFER_INIT;
		struct xml_simple simple;

		write_tokens(&text);
		if (usual_simple_read(buffer_sv(&text), &simple)) {
			n_simple++;
			if (!expat_reads(expat, sv_first(buffer_sv(&text), simple.n))) {
				fail_msg("simple, but not to expat: %.*s",
					 SV_ARGS(buffer_sv(&text)));
			}
		}
		buffer_deinit(&text);
	}
	assert_in_range(n_simple, 1000, 19 * 1000);
	XML_ParserFree(expat);
}

/* The start tag of any other root is given to expat with all that arrives in the same piece. */
#define SIMPLE_ROOT "<x xmlns='jabber:client'>"

static void test_items(void **state)
{
	static const char *const roots[] = {
		"",
		ROOT,
		SIMPLE_ROOT,
		"<x xmlns='urn:told'>",
		"<x xmlns='urn:streams' xmlns:a='b'>",
		"<x xmlns:xml='http://www.w3.org/XML/1998/namespace' xmlns='jabber:client'>",
		"<?xml version='1.0'?> <x xmlns='other'>",
		"<x xmlns=''>",
	};
	static const struct {
		const char *text;
		bool has_simple; /* within SIMPLE_ROOT: of whatever namespace */
	} rows[] = {
		{"<m/>", true},
		{" \n\t<m xmlns='jabber:client' id='1'>text</m> <m/>\r\n<m/>", true},
		{"<m xml:lang='en'><b xmlns='jabber:client'/><c xmlns='other'>t</c></m>", true},
		{"<m xmlns='other'><b/></m><m><b xmlns='urn:streams'/></m>", true},
		{"<m xmlns='urn:told' id='1' xml:lang='en'/>", true},
		{"<m xmlns='urn:streams'><a/><b xmlns='c'>d</b></m>", true},
		{"<m>]</m>", false},
		{"<m/><m>]</m><m/>", true},
		{"<m/><m", true},
		{"<m/>\r<m/>", true},
		{"<m/>text", true},
		{"<m/></s:stream>", true},
		{"<m/></x> ", true},
		{"<m/></x><m/>", true},
		{"<m/><!-- a -->", true},
	};
	struct setup *one = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(roots) * ARRAY_LENGTH(rows); i++) {
		const char *root = roots[i % ARRAY_LENGTH(roots)];
		struct sv text = long_text(root, rows[i / ARRAY_LENGTH(roots)].text, "", 0, "");

		one->rootless = !root[0];
		skip_n_simple = 0;
		skip_check(one, text, SKIP_USUALLY + 1);
		uint64_t n = skip_n_simple;

		if (strcmp(root, SIMPLE_ROOT) == 0) {
			assert_int_equal(n > 0, rows[i / ARRAY_LENGTH(roots)].has_simple);
		}
		free((void *)text.data);
	}
}

/* An element over the limit is not skipped, though simple. */
static void test_element_max(void **state)
{
	struct setup *one = *state;

	skip_mode = SKIP_USUALLY;
	skip_n_simple = 0;
	check_outcome(one, long_text(SIMPLE_ROOT, "<m>", "x", N_ELEMENT_MAX - 7, "</m>"), "0");
	assert_true(skip_n_simple > 0);
	check_outcome(one, long_text(SIMPLE_ROOT, "<m>", "x", N_ELEMENT_MAX - 6, "</m>"), "3");
}

/* Simple elements, and the white space between them, cost no work of expat's. */
static void test_not_given(void **state)
{
	static const char *const roots[] = {SIMPLE_ROOT, "<x>", "<x xmlns:p='urn:told'>"};
	struct setup *one = *state;

	skip_mode = SKIP_USUALLY;
	for (size_t i = 0; i < ARRAY_LENGTH(roots); i++) {
		struct xml_scan scan;

		xml_scan_init(&scan, one->pool, &options);
		assert_int_equal(feed_quietly(&scan, roots[i]), 1);
		assert_int_equal(feed_quietly(&scan, "<m/> <n></n><o"), 2);
		assert_non_null(scan.parser);
		assert_int_equal(scan.parser->n_skipped, strlen("<m/> <n></n>"));
		xml_scan_deinit(&scan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_parts),       TEST(test_not_simple), TEST(test_limits),
		TEST(test_open),        TEST(test_items),      TEST(test_beside_expat),
		TEST(test_element_max), TEST(test_not_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
