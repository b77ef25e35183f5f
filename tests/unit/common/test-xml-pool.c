/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/xml-parser.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/isolation.h"
#include "tests/unit/common/xml-case.h"

enum {
	/* More bytes of texts than a parser keeps room for. */
	MANY = 70 * 1000,
};

/* What makes an idle session cheap: many scans share one parser and keep no bytes. */
static void test_parser_given_back(void **state)
{
	enum {
		N_SCANS = 20,
	};
	const struct setup *one = *state;
	struct xml_scan scans[N_SCANS];
	const void *parser = NULL;

	for (size_t i = 0; i < N_SCANS; i++) {
		xml_scan_init(&scans[i], one->pool, &options);
		assert_int_equal(feed_quietly(&scans[i], ROOT), 1);
		assert_true(xml_scan_is_idle(&scans[i]));
		assert_null(scans[i].parser);
		assert_null(scans[i].partial.data);
		/* The same root is remembered once. */
		assert_ptr_equal(scans[i].scope, scans[0].scope);
	}
	for (size_t i = 0; i < N_SCANS; i++) {
		assert_int_equal(feed_quietly(&scans[i], "<m"), 0);
		assert_non_null(scans[i].parser);
		parser = parser ? parser : scans[i].parser;
		assert_ptr_equal(scans[i].parser, parser);
		assert_int_equal(scans[i].partial.n, 2);
		assert_int_equal(feed_quietly(&scans[i], "/><s:n>"), 1);
		/* The first element's bytes are gone, the second's are kept. */
		assert_int_equal(scans[i].partial.n, 5);
		assert_int_equal(feed_quietly(&scans[i], "</s:n>\n"), 1);
		assert_null(scans[i].parser);
		assert_null(scans[i].partial.data);
	}
	for (size_t i = 0; i < N_SCANS; i++) {
		xml_scan_deinit(&scans[i]);
		xml_scan_deinit(&scans[i]);
	}
}

/* A parser of a whole root serves the next one, and nobody else beside. */
static void test_parser_of_whole_roots(void **state)
{
	enum {
		N_SCANS = 20,
	};
	const struct setup *one = *state;
	const void *parser = NULL;

	for (size_t i = 0; i < N_SCANS; i++) {
		struct xml_scan whole, other;

		xml_scan_init_whole(&whole, one->pool, &options);
		assert_int_equal(feed_quietly(&whole, "<r><m/><m"), 2);
		assert_non_null(whole.parser);
		parser = parser ? parser : whole.parser;
		assert_ptr_equal(whole.parser, parser);
		xml_scan_init(&other, one->pool, &options);
		assert_int_equal(feed_quietly(&other, "<r><m"), 1);
		assert_non_null(other.parser);
		assert_ptr_not_equal(other.parser, parser);
		assert_int_equal(feed_quietly(&whole, "/></r>"), 2);
		assert_true(xml_scan_is_complete(&whole));
		xml_scan_deinit(&whole);
		xml_scan_deinit(&other);
	}
}

/* Feeds roots of up to @n bytes, until the parser has been given @n since it was reset. */
static void feed_whole_roots(const struct setup *one, size_t n)
{
	enum { N_STEP = 8 * 1024 };
	static const struct xml_scan_options large = {.n_element_max = 2 * N_STEP};
	static char text[2 * N_STEP + 1];
	size_t n_given = strlen("<x>");

	while (n_given < n) {
		size_t n_root = n - n_given >= 2 * N_STEP ? N_STEP : n - n_given;
		struct xml_scan scan;

		/* An attribute, because long texts are not given to expat. */
		snprintf(text, sizeof(text), "<r><m a = '%0*d'/></r>", (int)n_root - 18, 0);
		assert_int_equal(strlen(text), n_root);
		xml_scan_init_whole(&scan, one->pool, &large);
		(void)feed_quietly(&scan, text);
		assert_true(xml_scan_is_complete(&scan));
		xml_scan_deinit(&scan);
		n_given += n_root;
	}
}

/* It serves others up to a number of bytes; one above it is reset, or expat would keep all names
 * that it has seen. */
static void test_bytes_of_whole_roots(void **state)
{
	const struct setup *one = *state;

	for (size_t above = 0; above < 2; above++) {
		struct xml_scan scan;

		feed_whole_roots(one, XML_WARM_BYTES_MAX + above);
		xml_scan_init_whole(&scan, one->pool, &options);
		assert_int_equal(feed_quietly(&scan, "<r><m"), 1);
		assert_int_equal(scan.parser->n_header, above ? strlen("<x>") : XML_WARM_BYTES_MAX);
		xml_scan_deinit(&scan);
		xml_pool_trim(one->pool);
	}
}

/* The element in which such a parser reads its roots is not the peer's to end. */
static void test_end_of_our_own(void **state)
{
	static const char *const texts[] = {"</x>", "<r/></x>", "<r><m/></r> </x>", "<r/></x><r/>"};
	const struct setup *one = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct pieces pieces = {.rest = sv_from(texts[i]), .way = PIECES_WHOLE};
		struct buffer log = BUFFER_INIT;
		struct xml_scan scan;

		xml_scan_init_whole(&scan, one->pool, &options);
		assert_int_equal(scan_pieces(&scan, &pieces, &log), XML_E_SYNTAX);
		xml_scan_deinit(&scan);
		pieces_end(&pieces);
		buffer_deinit(&log);
	}
}

/* The memory for what is told is not freed and taken again for each element, but no peer makes it
 * stay large. */
static void test_memory_of_texts(void **state)
{
	const struct xml_scan_options large = {.n_element_max = 2 * MANY,
					       .with_attributes = 1 << TOLD};
	const struct setup *one = *state;
	struct xml_scan scan;

	xml_scan_init(&scan, one->pool, &large);
	for (size_t n = 1; n <= MANY; n += MANY - 1) {
		struct sv text = long_text("", "<t xmlns='urn:told' id='", "a", n, "'>");

		assert_true(feed_quietly(&scan, n == 1 ? ROOT : "") <= 1);
		assert_int_equal(feed_quietly(&scan, text.data), 0);
		assert_true(scan.parser->text.size >= n);
		assert_int_equal(feed_quietly(&scan, "</t>"), 1);
		assert_int_equal(feed_quietly(&scan, "<t"), 0);
		assert_true(scan.parser->text.size < MANY);
		assert_true(n > 1 || scan.parser->text.size > 0);
		assert_int_equal(feed_quietly(&scan, "/>"), 1);
		free((void *)text.data);
	}
	xml_scan_deinit(&scan);
}

/* A parser that was returned in the middle of anything behaves like a new one. */
static void test_parser_left_dirty(void **state)
{
	static const char *const left[] = {"<?xml version='1.0'?",
					   "<r",
					   "<!DOCTYPE x [",
					   "<r><t xmlns='urn:told' id='9'><u>",
					   "<f xmlns='urn:streams'><g xmlns='urn:streams'><a",
					   "<f xmlns='urn:streams'><g><h/><i>x",
					   "<r xmlns:p='z'",
					   "<r></x>",
					   "\xff\xfe",
					   "<r>&x;",
					   ROOT "<![CDATA[",
					   ROOT "<m xmlns='a'/><![CDATA[",
					   ROOT "<![CDATA",
					   ROOT "<m/>\r",
					   ROOT "]",
					   ROOT "\xe2\x82"};
	const struct setup *one = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(left); i++) {
		struct pieces pieces = {.rest = sv_from(left[i]), .way = PIECES_BYTES};
		struct xml_scan scan;
		struct buffer log = BUFFER_INIT;

		xml_scan_init(&scan, one->pool, &options);
		(void)scan_pieces(&scan, &pieces, &log);
		pieces_end(&pieces);
		buffer_deinit(&log);
		xml_scan_deinit(&scan);
		pieces_check(SV(ROOT "<s:f><b/></s:f><t xmlns='urn:told' id='1'/>"), run, *state,
			     "root 1 stream\n1 f <s:f><b/></s:f> -> <s:f xmlns='jabber:client' "
			     "xmlns:s='urn:streams'>"
			     "<b/></s:f> [0 b <b/>]\n2 t <t xmlns='urn:told' id='1'/> "
			     "-2:id='1'\nidle\n");
	}
}

/* A parser that has consumed anything without a report, as expat does with what has no handler, is
 * not given to the next scan. */
static void test_parser_left_in_silence(void **state)
{
	static const char *const left[] = {"<![CDATA[", "<![CDATA[ ]]>", "<?p i?>", "<?p i?><m/>"};
	const struct setup *one = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(left); i++) {
		struct xml_scan scan;

		xml_scan_init_rootless(&scan, one->pool, &options);
		assert_int_equal(feed_quietly(&scan, "<"), 0);
		XML_SetCdataSectionHandler(scan.parser->expat, NULL, NULL);
		XML_SetProcessingInstructionHandler(scan.parser->expat, NULL);
		(void)feed_quietly(&scan, left[i] + 1);
		assert_false(xml_scan_is_idle(&scan));
		xml_scan_deinit(&scan);

		xml_scan_init_rootless(&scan, one->pool, &options);
		assert_int_equal(feed_quietly(&scan, "<m/>"), 1);
		assert_true(xml_scan_is_idle(&scan));
		xml_scan_deinit(&scan);
	}
}

/* A scan reports nothing that only the previous one asked for. */
static void test_parser_left_untold(void **state)
{
	const struct setup *one = *state;
	struct xml_scan scan;
	struct xml_item item;
	int r;

	xml_scan_init(&scan, one->pool, &options);
	assert_int_equal(xml_scan_feed(&scan, "<r><a/><b/>", 11), 0);
	assert_true(xml_scan_next(&scan, &item, &r));
	xml_scan_deinit(&scan);
	pieces_check(SV("<r><c/>"), run, *state, "root -2 r\n-2 c <c/>\nidle\n");
}

static void test_many_roots(void **state)
{
	/* More roots than a pool remembers, twice, so that some are found and some are made
	 * again. */
	for (unsigned i = 0; i < 40; i++) {
		char text[200], expected[200];

		snprintf(text, sizeof(text), "<r xmlns:p='u%u'><p:m/>", i % 20);
		snprintf(expected, sizeof(expected),
			 "root -2 r\n-1 m <p:m/> -> <p:m xmlns:p='u%u'/>\nidle\n", i % 20);
		pieces_check(sv_from(text), run, *state, expected);
	}
	/* Roots that differ from a remembered one in their name or prefix. */
	pieces_check(SV("<q xmlns:p='u19'></q>"), run, *state, "root -2 q\nend\ncomplete\n");
	pieces_check(SV("<q xmlns:r='u19'><r:m/>"), run, *state,
		     "root -2 q\n-1 m <r:m/> -> <r:m xmlns:r='u19'/>\nidle\n");
}

/* As many roots are remembered as there may be: the last ones. */
static void test_scopes(void **state)
{
	struct xml_scopes scopes;
	struct xml_scope *last[XML_SCOPES_REMEMBERED], *scope;
	char name[] = "a";

	(void)state;
	assert_int_equal(xml_scopes_init(&scopes, uris, N_URIS), 0);
	for (size_t i = 0; i < 3 * XML_SCOPES_REMEMBERED; i++, name[0]++) {
		assert_int_equal(xml_scopes_get(&scopes, sv_from(name), NULL, 0, &scope), 0);
		last[i % XML_SCOPES_REMEMBERED] = scope;
		xml_scope_unref(scope);
	}
	for (size_t i = 0; i < XML_SCOPES_REMEMBERED; i++) {
		size_t n_before = failmalloc_n_live();

		name[0] = (char)('a' + 2 * XML_SCOPES_REMEMBERED + i);
		assert_int_equal(xml_scopes_get(&scopes, sv_from(name), NULL, 0, &scope), 0);
		assert_int_equal(failmalloc_n_live(), n_before);
		assert_ptr_equal(scope, last[i]);
		xml_scope_unref(scope);
	}
	xml_scopes_deinit(&scopes);
}

/* Nobody else can use the parser of a root that only one peer has. However many of them there are,
 * other sessions still find their parser as they left it, after the last element. */
static void test_warm_for_all(void **state)
{
	enum {
		N_STRANGERS = 100,
	};
	const struct setup *one = *state;
	struct xml_scan strangers[N_STRANGERS], scan;
	char root[40];

	for (size_t i = 0; i < N_STRANGERS; i++) {
		snprintf(root, sizeof(root), "<r xmlns:p='u%zu'><m", i);
		xml_scan_init(&strangers[i], one->pool, &options);
		assert_int_equal(feed_quietly(&strangers[i], root), 1);
	}
	for (size_t i = 0; i < N_STRANGERS; i++) {
		assert_int_equal(feed_quietly(&strangers[i], "/>"), 1);
		xml_scan_deinit(&strangers[i]);
	}
	xml_scan_init(&scan, one->pool, &options);
	assert_int_equal(feed_quietly(&scan, ROOT "<m/>"), 2);
	for (size_t i = 1; i < 4; i++) {
		/* It has read nothing again. */
		assert_int_equal(feed_quietly(&scan, "<m"), 0);
		assert_int_equal(scan.parser->n_header, strlen(ROOT) + i * strlen("<m/>"));
		assert_int_equal(feed_quietly(&scan, "/>"), 1);
	}
	xml_scan_deinit(&scan);
}

/* A root that sessions share stays remembered, whatever roots other peers send. */
static void test_roots_of_strangers(void **state)
{
	const struct setup *one = *state;
	struct xml_scan scans[4], stranger;
	char root[40];

	for (size_t i = 0; i < 3; i++) {
		xml_scan_init(&scans[i], one->pool, &options);
		assert_int_equal(feed_quietly(&scans[i], ROOT), 1);
	}
	for (size_t i = 0; i < 5 * XML_SCOPES_REMEMBERED; i++) {
		snprintf(root, sizeof(root), "<r xmlns:p='u%zu'>", i);
		xml_scan_init(&stranger, one->pool, &options);
		assert_int_equal(feed_quietly(&stranger, root), 1);
		xml_scan_deinit(&stranger);
	}
	xml_scan_init(&scans[3], one->pool, &options);
	assert_int_equal(feed_quietly(&scans[3], ROOT), 1);
	for (size_t i = 0; i < ARRAY_LENGTH(scans); i++) {
		assert_ptr_equal(scans[i].scope, scans[0].scope);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(scans); i++) {
		xml_scan_deinit(&scans[i]);
	}
}

/* Spare parsers of all three kinds go; one that is in use stays, and the scans go on. */
static void test_trim(void **state)
{
	enum {
		N_SCANS = 10,
	};
	const struct setup *one = *state;
	struct xml_scan scans[N_SCANS], whole;

	for (size_t i = 0; i < N_SCANS; i++) {
		xml_scan_init(&scans[i], one->pool, &options);
		assert_int_equal(feed_quietly(&scans[i], ROOT), 1);
	}
	xml_pool_trim(one->pool);
	size_t n_before = failmalloc_n_live();

	for (size_t i = 0; i < N_SCANS; i++) {
		assert_int_equal(feed_quietly(&scans[i], "<m"), 0);
	}
	for (size_t i = 1; i < N_SCANS; i++) {
		assert_int_equal(feed_quietly(&scans[i], "/>"), 1);
	}
	xml_scan_init_whole(&whole, one->pool, &options);
	assert_int_equal(feed_quietly(&whole, "<r><m a = ''/></r>"), 3);
	xml_scan_deinit(&whole);
	assert_true(failmalloc_n_live() > n_before + N_SCANS);
	xml_pool_trim(one->pool);
	size_t n_with_one = failmalloc_n_live();

	assert_true(n_with_one > n_before);
	assert_int_equal(feed_quietly(&scans[0], "/>"), 1);
	xml_pool_trim(one->pool);
	assert_true(failmalloc_n_live() < n_with_one);
	assert_int_equal(failmalloc_n_live(), n_before);
	for (size_t i = 0; i < N_SCANS; i++) {
		assert_int_equal(feed_quietly(&scans[i], "<m>&#65;</m>"), 1);
		xml_scan_deinit(&scans[i]);
	}
}

/* Everything a worker does with scans: a pool, roots, elements whole and in pieces, children, and a
 * parser that is returned early. */
static int scenario(void *userdata)
{
	static const char text[] =
		"<?xml version='1.0'?>" ROOT "<s:f><a x='1'/><b/><c/><d/><e/><f/><g/><h/><i/></s:f>"
		"<t xmlns='urn:told' id='1'/><m><n>x</n></m><m/>";
	static const char expected[] =
		"<s:f xmlns='jabber:client' xmlns:s='urn:streams'><a x='1'/><b/><c/><d/>"
		"<e/><f/><g/><h/><i/></s:f><t xmlns='urn:told' id='1'/>"
		"<m xmlns='jabber:client'><n>x</n></m><m xmlns='jabber:client'/>";
	struct xml_pool *pool;
	struct xml_scan scans[2];
	struct xml_item item;
	struct buffer out = BUFFER_INIT;
	int r = xml_pool_new(uris, N_URIS, &pool);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < 2; i++) {
		xml_scan_init(&scans[i], pool, &options);
	}
	for (size_t at = 0; r == 0 && at < sizeof(text) - 1; at += 7) {
		for (size_t i = 0; r == 0 && i < 2; i++) {
			struct sv piece = sv_first(sv_skip(sv_from(text), at), 7);
			int next_r = 0;

			r = xml_scan_feed(&scans[i], piece.data, piece.n);
			while (xml_scan_next(&scans[i], &item, &next_r)) {
				if (item.kind == XML_ITEM_ELEMENT && r == 0 && i == 0) {
					r = xml_item_write(&scans[i], &item, &out);
				}
			}
			r = r ? r : next_r;
		}
	}
	if (r == 0 && !sv_eq(buffer_sv(&out), sv_from(expected))) {
		r = 1;
	}
	for (size_t i = 0; i < 2; i++) {
		xml_scan_deinit(&scans[i]);
	}
	buffer_deinit(&out);
	xml_pool_free(pool);
	return r;
}

static int hand_over_scenario(void *userdata)
{
	struct sv *text = userdata;
	struct xml_pool *pool;
	struct xml_scan scan;
	struct xml_item item;
	int r = xml_pool_new(uris, N_URIS, &pool), next_r;

	if (r < 0) {
		return r;
	}
	xml_scan_init(&scan, pool, &options);
	r = xml_scan_feed(&scan, text->data, text->n);
	size_t n_items = 0;

	while (xml_scan_next(&scan, &item, &next_r)) {
		n_items++;
	}
	r = r ? r : next_r;
	if (r == 0 && n_items != 2 * (XML_PARSER_BYTES_MAX / N_ELEMENT_MAX) + 1) {
		r = (int)n_items;
	}
	xml_scan_deinit(&scan);
	xml_pool_free(pool);
	return r;
}

/* An element whose bytes do not fit into the memory in which the scan keeps them. */
static int long_scenario(void *userdata)
{
	const char *const pieces[] = {ROOT "<m>", userdata, userdata, "</m>"};
	struct xml_pool *pool;
	struct xml_scan scan;
	struct xml_item item;
	int r = xml_pool_new(uris, N_URIS, &pool), next_r;

	if (r < 0) {
		return r;
	}
	xml_scan_init(&scan, pool, &options);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(pieces); i++) {
		r = xml_scan_feed(&scan, pieces[i], strlen(pieces[i]));
		/* Also after a failure, as the header allows. */
		while (xml_scan_next(&scan, &item, &next_r)) {
		}
		r = r ? r : next_r;
	}
	xml_scan_deinit(&scan);
	xml_pool_free(pool);
	return r;
}

static void test_without_memory(void **state)
{
	char part[180];

	(void)state;
	memset(part, 'x', sizeof(part) - 1);
	part[sizeof(part) - 1] = '\0';
	failmalloc_each(scenario, NULL, 30);
	failmalloc_each(long_scenario, part, 20);

	struct sv element = long_text("", "<m>", "x", N_ELEMENT_MAX - strlen("<m></m>"), "</m>");
	struct sv text =
		long_text(ROOT, "", element.data, 2 * (XML_PARSER_BYTES_MAX / N_ELEMENT_MAX), "<m");

	failmalloc_each(hand_over_scenario, &text, 20);
	free((void *)element.data);
	free((void *)text.data);
}

/* A text as a document, without a root, and as a root in one feed. */
static void run_all(struct xml_pool *pool, struct pieces *pieces, struct buffer *log)
{
	struct pieces again = *pieces, whole = {.rest = pieces->rest, .way = PIECES_WHOLE};
	struct setup one = {.pool = pool, .options = &options};
	struct xml_scan scan;

	run(pieces, log, &one);
	one.rootless = true;
	run(&again, log, &one);
	pieces_end(&again);
	xml_scan_init_whole(&scan, pool, &options);
	(void)scan_pieces(&scan, &whole, log);
	pieces_end(&whole);
	xml_scan_deinit(&scan);
}

static void test_isolation(void **state)
{
	const struct isolation isolation = {
		.namespaces = uris, .n_namespaces = N_URIS, .run = run_all};

	(void)state;
	isolation_check(&isolation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_parser_given_back),
		TEST(test_parser_of_whole_roots),
		TEST(test_bytes_of_whole_roots),
		TEST(test_end_of_our_own),
		TEST(test_memory_of_texts),
		TEST(test_parser_left_dirty),
		TEST(test_parser_left_in_silence),
		TEST(test_parser_left_untold),
		TEST(test_many_roots),
		cmocka_unit_test(test_scopes),
		TEST(test_roots_of_strangers),
		TEST(test_warm_for_all),
		TEST(test_trim),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_isolation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
