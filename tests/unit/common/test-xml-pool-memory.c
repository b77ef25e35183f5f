/* SPDX-License-Identifier: MIT */
/* The memory that a pool of parsers keeps, and its lack. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/xml-parser.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/common/xml-case.h"

enum {
	/* More bytes of texts than a parser keeps room for. */
	MANY = 70 * 1000,
};

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_memory_of_texts),
		TEST(test_many_roots),
		TEST(test_warm_for_all),
		TEST(test_trim),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
