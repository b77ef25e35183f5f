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
		TEST(test_parser_given_back),    TEST(test_parser_of_whole_roots),
		TEST(test_bytes_of_whole_roots), TEST(test_end_of_our_own),
		TEST(test_parser_left_dirty),    TEST(test_parser_left_in_silence),
		TEST(test_parser_left_untold),   cmocka_unit_test(test_scopes),
		TEST(test_roots_of_strangers),   cmocka_unit_test(test_isolation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
