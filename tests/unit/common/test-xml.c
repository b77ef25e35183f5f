/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/common/xml-case.h"

struct row {
	const char *input, *expected;
};

static void check_rows(const struct setup *one, const struct row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++) {
		pieces_check(sv_from(rows[i].input), run, (void *)one, rows[i].expected);
	}
}

#define CHECK_ROWS(one, rows) check_rows(one, rows, ARRAY_LENGTH(rows))

static void test_slices(void **state)
{
	static const struct row rows[] = {
		{ROOT, "root 1 stream\nidle\n"},
		{"<?xml version='1.0'?>\n" ROOT, "root 1 stream\nidle\n"},
		{ROOT " \r\n\t", "root 1 stream\nidle\n"},
		{ROOT "\r", "root 1 stream\nidle\n"},
		{ROOT "<", "root 1 stream\nopen\n"},
		{ROOT "<m", "root 1 stream\nopen\n"},
		{ROOT "<m><b></b>", "root 1 stream\nopen\n"},
		{ROOT "<m xmlns='a'/>", "root 1 stream\n-1 m <m xmlns='a'/>\nidle\n"},
		{ROOT "<m xmlns='a'></m\n>", "root 1 stream\n-1 m <m xmlns='a'></m\n>\nidle\n"},
		{ROOT "<m xmlns='a' b = \"c>d\" >x<y/>z</m><n xmlns='' />",
		 "root 1 stream\n-1 m <m xmlns='a' b = \"c>d\" >x<y/>z</m>\n-2 n <n xmlns='' "
		 "/>\nidle\n"},
		{ROOT "\r\n<m xmlns='a'>\r\n</m>\r\n<n xmlns='a'/>\r\n",
		 "root 1 stream\n-1 m <m xmlns='a'>\r\n</m>\n-1 n <n xmlns='a'/>\nidle\n"},
		{ROOT "<m xmlns='a'>&lt;&#60;&amp;<![CDATA[<&]]></m>",
		 "root 1 stream\n-1 m <m xmlns='a'>&lt;&#60;&amp;<![CDATA[<&]]></m>\nidle\n"},
		{ROOT "<m xmlns='a'/></s:stream>",
		 "root 1 stream\n-1 m <m xmlns='a'/>\nend\ncomplete\n"},
		{"<s:stream xmlns:s='urn:streams'/>", "root 1 stream\nend\ncomplete\n"},
		{"<x/>", "root -2 x\nend\ncomplete\n"},
		{"<x xmlns='other'></x>\n", "root -1 x\nend\ncomplete\n"},
		{"<x/>\r\n \t", "root -2 x\nend\ncomplete\n"},
		{"<x/>\r", "root -2 x\nend\ncomplete\n"},
		{"<x/>\n<", "root -2 x\nend\nopen\n"},
		{"<x/><!", "root -2 x\nend\nopen\n"},
		{"<x/>\xc3", "root -2 x\nend\nopen\n"},
		{"\n <s:stream xmlns:s='urn:strea", "open\n"},
	};

	CHECK_ROWS(*state, rows);
}

static void test_sections(void **state)
{
	static const struct row rows[] = {
		/* Inside an element, with any content and cut anywhere. */
		{ROOT "<m xmlns='a'><![CDATA[]]></m>",
		 "root 1 stream\n-1 m <m xmlns='a'><![CDATA[]]></m>\nidle\n"},
		{ROOT "<m xmlns='a'> <![CDATA[ \r\n]]>]]<![CDATA[]]]]></m>",
		 "root 1 stream\n-1 m <m xmlns='a'> <![CDATA[ \r\n]]>]]<![CDATA[]]]]></m>\nidle\n"},
		{ROOT "<m xmlns='a'><n><![CDATA[</m>&a;<!-- -->]]></n></m>",
		 "root 1 stream\n-1 m <m xmlns='a'><n><![CDATA[</m>&a;<!-- -->]]></n></m>\nidle\n"},
		{ROOT "<m><![CDATA[", "root 1 stream\nopen\n"},
		{ROOT "<m><![CDATA[ ]]", "root 1 stream\nopen\n"},
		{ROOT "<m><n><![CDATA[</n></m>", "root 1 stream\nopen\n"},
		/* Between elements: open, empty, and with nothing but white space. */
		{ROOT "<![CDATA[", "root 1 stream\nerror 1\n"},
		{ROOT "<![CDATA[]]>", "root 1 stream\nerror 1\n"},
		{ROOT "<![CDATA[ ]]><m/>", "root 1 stream\nerror 1\n"},
		{ROOT "\n<![CDATA[<m/>", "root 1 stream\nerror 1\n"},
		{ROOT "<m xmlns='a'/><![CDATA[", "root 1 stream\n-1 m <m xmlns='a'/>\nerror 1\n"},
		{ROOT "<m xmlns='a'></m>\r<![CDATA[ ]]>",
		 "root 1 stream\n-1 m <m xmlns='a'></m>\nerror 1\n"},
		/* Half of its start could still become an element, so the scan is not idle. */
		{ROOT "<!", "root 1 stream\nopen\n"},
		{ROOT "<![CDATA", "root 1 stream\nopen\n"},
		{ROOT " <![CDATA", "root 1 stream\nopen\n"},
		{ROOT "]", "root 1 stream\nopen\n"},
		{ROOT "]]", "root 1 stream\nopen\n"},
		{ROOT "\xc3", "root 1 stream\nopen\n"},
		{ROOT "&#32", "root 1 stream\nopen\n"},
		/* After a root, and before one. */
		{ROOT "</s:stream><![CDATA[", "root 1 stream\nend\nerror 1\n"},
		{ROOT "</s:stream>\n<![CDATA[ ]]>", "root 1 stream\nend\nerror 1\n"},
		{"<![CDATA[", "error 1\n"},
		{"<?xml version='1.0'?><![CDATA[ ]]><x/>", "error 1\n"},
	};

	CHECK_ROWS(*state, rows);
}

static void test_scopes(void **state)
{
	static const struct row rows[] = {
		/* The default namespace, used by the element or only inside it. */
		{ROOT "<m a='b'/>",
		 "root 1 stream\n0 m <m a='b'/> -> <m xmlns='jabber:client' a='b'/>\nidle\n"},
		{ROOT "<m/>", "root 1 stream\n0 m <m/> -> <m xmlns='jabber:client'/>\nidle\n"},
		{ROOT "<p:m xmlns:p='a'><n/></p:m>",
		 "root 1 stream\n-1 m <p:m xmlns:p='a'><n/></p:m> -> "
		 "<p:m xmlns='jabber:client' xmlns:p='a'><n/></p:m>\nidle\n"},
		/* Declared again, the same or another: nothing is missing. */
		{ROOT "<m xmlns='jabber:client'/>",
		 "root 1 stream\n0 m <m xmlns='jabber:client'/>\nidle\n"},
		{ROOT "<m xmlns='b'><n xmlns='jabber:client'><o/></n></m>",
		 "root 1 stream\n-1 m <m xmlns='b'><n xmlns='jabber:client'><o/></n></m>\nidle\n"},
		{ROOT "<s:m xmlns:s='b'/>", "root 1 stream\n-1 m <s:m xmlns:s='b'/>\nidle\n"},
		{ROOT "<m xmlns='a'><s:n xmlns:s='b'/></m>",
		 "root 1 stream\n-1 m <m xmlns='a'><s:n xmlns:s='b'/></m>\nidle\n"},
		/* A declaration of one element does not apply to the next. */
		{ROOT "<m xmlns='jabber:client'/><m/>",
		 "root 1 stream\n0 m <m xmlns='jabber:client'/>\n0 m <m/> -> "
		 "<m xmlns='jabber:client'/>\nidle\n"},
		{ROOT "<m xmlns='a'/><p:m/>", "root 1 stream\n-1 m <m xmlns='a'/>\nerror 1\n"},
		/* Prefixes: of the element, of a child, of an attribute, of a child's attribute. */
		{ROOT "<s:m/>",
		 "root 1 stream\n1 m <s:m/> -> <s:m xmlns:s='urn:streams'/>\nidle\n"},
		{"<r xmlns:p='a' xmlns:q='b' xmlns:u='c'><m><p:n q:z='1'/></m></r>",
		 "root -2 r\n-2 m <m><p:n q:z='1'/></m> -> "
		 "<m xmlns:p='a' xmlns:q='b'><p:n q:z='1'/></m>\nend\ncomplete\n"},
		{"<r xmlns:p='a'><m p:z='1'/></r>",
		 "root -2 r\n-2 m <m p:z='1'/> -> <m xmlns:p='a' p:z='1'/>\nend\ncomplete\n"},
		/* Two prefixes of one namespace: only the one that is used is missing. */
		{"<r xmlns:p='a' xmlns:q='a'><q:m/></r>",
		 "root -2 r\n-1 m <q:m/> -> <q:m xmlns:q='a'/>\nend\ncomplete\n"},
		/* A name that only begins like a prefix. */
		{"<r xmlns:p='a' xmlns:pp='b'><pp:m/></r>",
		 "root -2 r\n-1 m <pp:m/> -> <pp:m xmlns:pp='b'/>\nend\ncomplete\n"},
		/* URIs are escaped, also where they had a character reference. */
		{"<r xmlns:p='a&amp;b&#39;&quot;&lt;'><p:m/></r>",
		 "root -2 r\n-1 m <p:m/> -> <p:m "
		 "xmlns:p='a&amp;b&apos;&quot;&lt;'/>\nend\ncomplete\n"},
		/* The prefix xml needs no declaration. */
		{ROOT "<m xml:lang='de' xmlns='a'/>",
		 "root 1 stream\n-1 m <m xml:lang='de' xmlns='a'/>\nidle\n"},
		/* Out of scope again. */
		{"<r xmlns='a'><m xmlns=''><n/></m></r>",
		 "root -1 r\n-2 m <m xmlns=''><n/></m>\nend\ncomplete\n"},
		/* In the copy, a control character would be read as a space: another namespace. */
		{"<r xmlns:p='a&#9;b'><p:m/></r>", "error 1\n"},
		{"<r xmlns:p='a&#10;b'><p:m/></r>", "error 1\n"},
	};

	CHECK_ROWS(*state, rows);
}

static void test_children_and_attributes(void **state)
{
	static const struct row rows[] = {
		{ROOT "<s:f xmlns:s='urn:streams'> <a xmlns='x'/><t:b "
		      "xmlns:t='urn:told'><c/>d</t:b ><s:e></s:e></s:f>",
		 "root 1 stream\n1 f <s:f xmlns:s='urn:streams'> <a xmlns='x'/><t:b "
		 "xmlns:t='urn:told'><c/>d</t:b >"
		 "<s:e></s:e></s:f> -> <s:f xmlns='jabber:client' xmlns:s='urn:streams'> <a "
		 "xmlns='x'/>"
		 "<t:b xmlns:t='urn:told'><c/>d</t:b ><s:e></s:e></s:f>"
		 " [-1 a <a xmlns='x'/>] [2 b <t:b xmlns:t='urn:told'><c/>d</t:b >] [1 e "
		 "<s:e></s:e>]\nidle\n"},
		/* Not for other namespaces; each item has its own. */
		{"<r xmlns='urn:streams'><f><a/></f><m "
		 "xmlns='x'><a/></m><f/><f><b/><b><b/></b></f>",
		 "root 1 r\n1 f <f><a/></f> -> <f xmlns='urn:streams'><a/></f> [1 a <a/>]\n"
		 "-1 m <m xmlns='x'><a/></m>\n1 f <f/> -> <f xmlns='urn:streams'/>\n"
		 "1 f <f><b/><b><b/></b></f> -> <f xmlns='urn:streams'><b/><b><b/></b></f>"
		 " [1 b <b/>] [1 b <b><b/></b>]\nidle\n"},
		{"<r id='&lt;1&gt;' xml:lang='de'>", "root -2 r -2:id='<1>' 3:lang='de'\nidle\n"},
		{"<r id=''>", "root -2 r -2:id=''\nidle\n"},
		{"<r xmlns:c='jabber:client' c:id='1'>", "root -2 r 0:id='1'\nidle\n"},
		{"<r xmlns='x' id='0'><t xmlns='urn:told' id='1'/><m id='2'/><t xmlns='urn:told' "
		 "id='3' xml:lang='e'/>",
		 "root -1 r -2:id='0'\n2 t <t xmlns='urn:told' id='1'/> -2:id='1'\n"
		 "-1 m <m id='2'/> -> <m xmlns='x' id='2'/>\n"
		 "2 t <t xmlns='urn:told' id='3' xml:lang='e'/> -2:id='3' 3:lang='e'\nidle\n"},
	};

	CHECK_ROWS(*state, rows);
}

static void test_refused(void **state)
{
	static const struct row rows[] = {
		/* Restricted: RFC 6120, 11.1. */
		{"<!DOCTYPE x><x/>", "error 2\n"},
		{"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "error 2\n"},
		{"<!-- c --><x/>", "error 2\n"},
		{"<?p i?><x/>", "error 2\n"},
		{ROOT "<!-- c -->", "root 1 stream\nerror 2\n"},
		{ROOT "<?p i?>", "root 1 stream\nerror 2\n"},
		{ROOT "<m xmlns='a'/><n><!-- --></n>",
		 "root 1 stream\n-1 m <m xmlns='a'/>\nerror 2\n"},
		{ROOT "<n><?p i?></n>", "root 1 stream\nerror 2\n"},
		{ROOT "<n>&a;</n>", "root 1 stream\nerror 2\n"},
		{ROOT "<n a='&nbsp;'/>", "root 1 stream\nerror 2\n"},
		{ROOT "</s:stream><!-- -->", "root 1 stream\nend\nerror 2\n"},
		/* An encoding other than UTF-8. */
		{"<?xml version='1.0' encoding='ISO-8859-1'?><x/>", "error 2\n"},
		{"<?xml version='1.0' encoding='UTF-16'?><x/>", "error 2\n"},
		{"<?xml version='1.0' encoding='utf-8'?><x>", "root -2 x\nidle\n"},
		/* Text between elements. */
		{ROOT "x", "root 1 stream\nerror 1\n"},
		{ROOT "<m xmlns='a'/>&#32;&#x41;", "root 1 stream\n-1 m <m xmlns='a'/>\nerror 1\n"},
		{ROOT "<![CDATA[x]]>", "root 1 stream\nerror 1\n"},
		{"x" ROOT, "error 1\n"},
		/* Not well-formed. */
		{ROOT "<m></n>", "root 1 stream\nerror 1\n"},
		{ROOT "<m a='1' a='2'/>", "root 1 stream\nerror 1\n"},
		{ROOT "<m a=1/>", "root 1 stream\nerror 1\n"},
		{ROOT "<m a='<'/>", "root 1 stream\nerror 1\n"},
		{ROOT "</x>", "root 1 stream\nerror 1\n"},
		{ROOT "<p:m/>", "root 1 stream\nerror 1\n"},
		{ROOT "<m p:a='1'/>", "root 1 stream\nerror 1\n"},
		{ROOT "<m xmlns:p=''/>", "root 1 stream\nerror 1\n"},
		{ROOT "<m>]]></m>", "root 1 stream\nerror 1\n"},
		{ROOT "<m>&#0;</m>", "root 1 stream\nerror 1\n"},
		{ROOT "<?xml version='1.0'?>", "root 1 stream\nerror 1\n"},
		{ROOT "</s:stream><x/>", "root 1 stream\nend\nerror 1\n"},
		/* Bad UTF-8: a lone byte, an overlong form, a surrogate, more than Unicode has. */
		{ROOT "<m>\xff</m>", "root 1 stream\nerror 1\n"},
		{ROOT "<m>\xc0\xbc</m>", "root 1 stream\nerror 1\n"},
		{ROOT "<m>\xed\xa0\x80</m>", "root 1 stream\nerror 1\n"},
		{ROOT "<m>\xf4\x90\x80\x80</m>", "root 1 stream\nerror 1\n"},
		{ROOT "<m>\xc3<</m>", "root 1 stream\nerror 1\n"},
	};

	CHECK_ROWS(*state, rows);
}

static void test_utf8(void **state)
{
	static const struct row rows[] = {
		{ROOT "<m\xc3\xbc xmlns='a'>\xe2\x82\xac\xf0\x9f\x98\x80</m\xc3\xbc>",
		 "root 1 stream\n-1 m\xc3\xbc <m\xc3\xbc "
		 "xmlns='a'>\xe2\x82\xac\xf0\x9f\x98\x80</m\xc3\xbc>\nidle\n"},
		{"<r xmlns:\xc3\xa4='urn:\xc3\xb6'><\xc3\xa4:m/>",
		 "root -2 r\n-1 m <\xc3\xa4:m/> -> <\xc3\xa4:m "
		 "xmlns:\xc3\xa4='urn:\xc3\xb6'/>\nidle\n"},
		{"\xef\xbb\xbf" ROOT "<m xmlns='a'/>",
		 "root 1 stream\n-1 m <m xmlns='a'/>\nidle\n"},
	};

	CHECK_ROWS(*state, rows);
}

/* Bytes that expat would accept, but not the program that receives them. */
static void test_utf16(void **state)
{
	static const char text[] = "<x><y/></x>";
	char bytes[2 + 2 * sizeof(text)];

	for (unsigned big = 0; big < 2; big++) {
		for (unsigned mark = 0; mark < 2; mark++) {
			size_t n = 0;

			if (mark) {
				bytes[n++] = (char)(big ? 0xfe : 0xff);
				bytes[n++] = (char)(big ? 0xff : 0xfe);
			}
			for (size_t i = 0; i < sizeof(text) - 1; i++) {
				bytes[n++] = big ? '\0' : text[i];
				bytes[n++] = big ? text[i] : '\0';
			}
			pieces_check((struct sv){bytes, n}, run, *state, "error 2\n");
		}
	}
	/* Half a byte order mark is none of UTF-8 either. */
	pieces_check(SV("\xfe<x/>"), run, *state, "error 2\n");
	pieces_check(SV("\xff<x/>"), run, *state, "error 2\n");
	/* No document in any encoding: whether expat would read it as UTF-16 depends on the cut. */
	pieces_check((struct sv){"&\0\0", 3}, run, *state, "error 1\n");
	pieces_check((struct sv){"a\0<\0", 4}, run, *state, "error 1\n");
	pieces_check((struct sv){"<x><y>\0</y>", 11}, run, *state, "root -2 x\nerror 1\n");
}

static void test_rootless(void **state)
{
	static const struct row rows[] = {
		{"<m/>", "-2 m <m/>\nidle\n"},
		{" <m xmlns='a'/>\n", "-1 m <m xmlns='a'/>\nidle\n"},
		{"<t xmlns='urn:told' id='1'/><m>x</m>",
		 "2 t <t xmlns='urn:told' id='1'/> -2:id='1'\n-2 m <m>x</m>\nidle\n"},
		{" \r", "idle\n"},
		{"<m>", "open\n"},
		{"x", "error 1\n"},
		/* For any name that the scan might use for the missing root. */
		{"</x>", "end\ncomplete\n"},
		{"</x><m/>", "end\nerror 1\n"},
		{"</y>", "error 1\n"},
		{"<p:m/>", "error 1\n"},
		{"<?xml version='1.0'?><m/>", "error 1\n"},
		{"<![CDATA[", "error 1\n"},
		{"<![CDATA[]]>", "error 1\n"},
		{" <![CDATA[ ]]> <m/>", "error 1\n"},
		{"<m/><![CDATA[", "-2 m <m/>\nerror 1\n"},
		{"</x><![CDATA[", "end\nerror 1\n"},
		{"<![CDATA", "open\n"},
		{"]", "open\n"},
		{"<m><![CDATA[<&]]></m>", "-2 m <m><![CDATA[<&]]></m>\nidle\n"},
	};
	struct setup *one = *state;

	one->rootless = true;
	CHECK_ROWS(one, rows);
}

static void test_without_default(void **state)
{
	static const struct {
		uint32_t without;
		const char *added;
	} rows[] = {
		/* Only the default namespace may be left out: a prefix means nothing to the
		 * receiver. */
		{1 << TOLD | 1 << STREAMS, " xmlns:b='urn:streams' xmlns:c='urn:told'"},
		{1 << STREAMS, " xmlns='urn:told' xmlns:b='urn:streams' xmlns:c='urn:told'"},
	};
	static const char text[] = "<b:body xmlns='urn:told' xmlns:b='urn:streams' "
				   "xmlns:c='urn:told'><m><b:n/><c:o/></m><m/>";
	const struct setup *one = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct xml_scan_options less = {.n_element_max = sizeof(text),
						      .without_default = rows[i].without};
		struct sv added = sv_from(rows[i].added), rest;
		struct buffer out = BUFFER_INIT;
		struct xml_scan scan;
		struct xml_item item;
		int r;

		xml_scan_init(&scan, one->pool, &less);
		assert_int_equal(xml_scan_feed(&scan, text, sizeof(text) - 1), 0);
		assert_true(xml_scan_next(&scan, &item, &r));
		assert_int_equal(item.n_prefix, 0);
		assert_true(xml_scan_next(&scan, &item, &r));
		assert_false(xml_item_is_complete(&scan, &item));
		assert_int_equal(scan.n_completion, added.n);
		assert_int_equal(xml_item_write_missing(&scan, &item, &out), 0);
		assert_true(sv_eq(buffer_sv(&out), added));
		buffer_clear(&out);
		assert_int_equal(xml_item_split(&scan, &item, &out, &rest), 0);
		assert_true(sv_eq(sv_skip(buffer_sv(&out), 2), added));
		assert_ptr_equal(rest.data, item.text.data + 2);
		assert_int_equal(rest.n, item.text.n - 2);
		buffer_clear(&out);
		assert_int_equal(xml_item_write(&scan, &item, &out), 0);
		assert_int_equal(out.n, item.text.n + added.n);
		assert_true(xml_scan_next(&scan, &item, &r));
		assert_int_equal(xml_item_is_complete(&scan, &item), i == 0);
		assert_false(xml_scan_next(&scan, &item, &r));
		buffer_deinit(&out);
		xml_scan_deinit(&scan);
	}
}

/* Feeds @text, and takes each element out of the scan. Appends them to @log. */
static void take_all(struct xml_scan *scan, struct sv text, struct buffer *log)
{
	struct buffer element = BUFFER_INIT;
	struct xml_item item;
	int r;

	assert_int_equal(xml_scan_feed(scan, text.data, text.n), 0);
	while (xml_scan_next(scan, &item, &r)) {
		if (item.kind == XML_ITEM_ELEMENT) {
			assert_int_equal(xml_item_take(scan, &item, &element), 0);
			LOG(log, "%.*s\n", SV_ARGS(buffer_sv(&element)));
		}
	}
	assert_int_equal(r, 0);
	buffer_deinit(&element);
}

static void run_taking(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct setup *one = userdata;
	struct xml_scan scan;
	struct sv piece;

	xml_scan_init(&scan, one->pool, &options);
	while (pieces_next(pieces, &piece)) {
		take_all(&scan, piece, log);
	}
	assert_true(xml_scan_is_idle(&scan));
	assert_null(scan.partial.data);
	xml_scan_deinit(&scan);
}

/* Feeds an element of @n_text bytes of text and more in two pieces, and @rest behind the last one.
 * Returns whether the memory of the scan was taken. */
static bool takes_memory(const struct setup *one, const char *open, size_t n_text, const char *rest)
{
	static const struct xml_scan_options large = {.n_element_max = 4 * XML_ROOM_MIN};
	struct sv text = long_text(ROOT, open, "x", n_text, "");
	struct buffer end = BUFFER_INIT;
	struct sv whole = long_text(open, "", "x", n_text, "</m>");
	struct buffer element = BUFFER_INIT, completed = BUFFER_INIT;
	struct xml_scan scan;
	struct xml_item item;
	int r;

	xml_scan_init(&scan, one->pool, &large);
	assert_int_equal(feed_quietly(&scan, text.data), 1);
	const char *kept = scan.partial.data;

	LOG(&end, "</m>%s", rest);
	assert_int_equal(xml_scan_feed(&scan, buffer_sv(&end).data, end.n), 0);
	assert_true(xml_scan_next(&scan, &item, &r));
	assert_true(sv_eq(item.text, whole));
	assert_int_equal(xml_item_write(&scan, &item, &completed), 0);
	assert_int_equal(xml_item_take(&scan, &item, &element), 0);
	assert_true(sv_eq(buffer_sv(&element), buffer_sv(&completed)));
	assert_true(sv_eq(item.text, buffer_sv(&completed)));
	assert_true(sv_eq(item.name, SV("m")));
	assert_int_equal(item.text.data[item.n_open - 1], '>');
	assert_int_equal(item.missing, 0);
	bool is_taken = element.data == kept;

	while (xml_scan_next(&scan, &item, &r)) {
	}
	assert_int_equal(r, 0);
	xml_scan_deinit(&scan);
	/* It outlives the scan. */
	assert_true(sv_eq(buffer_sv(&element), buffer_sv(&completed)));
	buffer_deinit(&element);
	buffer_deinit(&completed);
	free((char *)text.data);
	buffer_deinit(&end);
	free((char *)whole.data);
	return is_taken;
}

/* The memory of the scan, where it kept the bytes and nothing is behind them; else a copy. */
static void test_take(void **state)
{
	const struct setup *one = *state;

	pieces_check(SV(ROOT "<m xmlns='a'>x</m><m/> <n xmlns='b'/><o xmlns='c'><p/></o>\n"),
		     run_taking, *state,
		     "<m xmlns='a'>x</m>\n<m xmlns='jabber:client'/>\n<n xmlns='b'/>\n"
		     "<o xmlns='c'><p/></o>\n");
	assert_true(takes_memory(one, "<m xmlns='a'>", 10, ""));
	assert_false(takes_memory(one, "<m xmlns='a'>", 10, "<n/>"));
	assert_false(takes_memory(one, "<m xmlns='a'>", 10, "\n"));
	/* Declarations need room before it, which only a large one has. */
	assert_false(takes_memory(one, "<m>", 10, ""));
	assert_true(takes_memory(one, "<m>", 3 * XML_ROOM_MIN, ""));
	assert_false(takes_memory(one, "<m>", 3 * XML_ROOM_MIN, "<n/>"));
	/* Half of the memory must be the element's: it is as large as elements may be here. */
	size_t n_half = (XML_HEADROOM + 4 * XML_ROOM_MIN + 4095) / 4096 * 4096 / 2 -
			2 * XML_HEADROOM - strlen("<m xmlns='a'></m>");

	assert_true(takes_memory(one, "<m xmlns='a'>", n_half, ""));
	assert_false(takes_memory(one, "<m xmlns='a'>", n_half - 1, ""));
}

/* A copy of a large element gets room on both sides, that of a small one does not. */
static void test_room_around_copy(void **state)
{
	static const struct xml_scan_options large = {.n_element_max = 4 * XML_ROOM_MIN};
	const size_t n_tags = strlen("<m xmlns='jabber:client'></m>");
	const struct setup *one = *state;

	for (size_t n = XML_ROOM_MIN - 1; n <= XML_ROOM_MIN; n++) {
		struct sv text = long_text(ROOT, "<m>", "x", n - n_tags, "</m>");
		struct buffer element = BUFFER_INIT;
		struct xml_scan scan;
		struct xml_item item;
		int r;

		xml_scan_init(&scan, one->pool, &large);
		assert_int_equal(xml_scan_feed(&scan, text.data, text.n), 0);
		while (xml_scan_next(&scan, &item, &r) && item.kind != XML_ITEM_ELEMENT) {
		}
		assert_int_equal(xml_item_take(&scan, &item, &element), 0);
		assert_int_equal(element.n, n);
		assert_int_equal(element.offset, n < XML_ROOM_MIN ? 0 : XML_HEADROOM);
		assert_true(n < XML_ROOM_MIN || element.size >= XML_HEADROOM + n + XML_HEADROOM);
		buffer_deinit(&element);
		xml_scan_deinit(&scan);
		free((char *)text.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slices),
		TEST(test_sections),
		TEST(test_scopes),
		TEST(test_children_and_attributes),
		TEST(test_refused),
		TEST(test_utf8),
		TEST(test_utf16),
		TEST(test_rootless),
		TEST(test_without_default),
		TEST(test_take),
		TEST(test_room_around_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
