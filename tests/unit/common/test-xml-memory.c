/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/xml-memory.h"
#include "common/xml-parser.h"
#include "tests/unit/common/wiped.h"
#include "tests/unit/common/xml-case.h"

enum {
	N_LARGE = 256 * 1024,
	/* What a parser may keep in the pool. */
	N_KEPT = 192 * 1024,
	N_BLOCKS_KEPT = 256,
};

static const struct xml_scan_options large_options = {.n_element_max = N_LARGE};
static const size_t n_memory_max = XML_MEMORY_BASE + XML_MEMORY_FACTOR * (size_t)N_LARGE;

/* The block from before is freed. malloc(3) may give up to a page more than is asked for. */
static void test_moved(void **state)
{
	struct xml_memory memory = {0};
	char *block;

	(void)state;
	xml_memory_count(&memory);
	block = xml_memory.malloc_fcn(100);
	assert_non_null(block);
	memset(block, 'x', 100);
	block = xml_memory.realloc_fcn(block, N_KEPT);
	assert_non_null(block);
	assert_memory_equal(block, "xxx", 3);
	assert_in_range(memory.n_bytes, N_KEPT, N_KEPT + 64 * 1024 - 1);
	assert_int_equal(memory.n_blocks, 1);
	xml_memory.free_fcn(block);
	assert_int_equal(memory.n_bytes, 0);
	assert_int_equal(memory.n_blocks, 0);
	/* Or for nobody. */
	xml_memory_count(NULL);
	xml_memory.free_fcn(xml_memory.malloc_fcn(100));
	assert_int_equal(memory.n_blocks, 0);
}

/* Passwords pass through the parser: a block is wiped whole before it is freed, or left behind. */
static void test_what_is_freed_is_wiped(void **state)
{
	char *block = xml_memory.malloc_fcn(100);
	const void *before = block;

	(void)state;
	assert_non_null(block);
	block = xml_memory.realloc_fcn(block, 5000);
	assert_non_null(block);
	assert_ptr_equal(wiped, before);
	assert_true(n_wiped >= 100);
	before = block;
	xml_memory.free_fcn(block);
	assert_ptr_equal(wiped, before);
	assert_true(n_wiped >= 5000);
}

static void test_held(void **state)
{
	const struct setup *one = *state;
	struct xml_scan scan;

	xml_scan_init(&scan, one->pool, &large_options);
	assert_int_equal(xml_scan_held(&scan), 0);
	feed_quietly(&scan, ROOT);
	assert_int_equal(xml_scan_held(&scan), 0);
	struct sv text = long_text("", "<m>", "x", 100000, "");

	feed_quietly(&scan, text.data);
	assert_in_range(xml_scan_held(&scan), 100000, XML_ROOM_FACTOR * 100000);
	feed_quietly(&scan, "</m>");
	assert_int_equal(xml_scan_held(&scan), 0);
	/* A start tag that never ends is held twice: here, and by expat. */
	feed_quietly(&scan, "<m a='");
	feed_quietly(&scan, text.data + strlen("<m>"));
	assert_in_range(xml_scan_held(&scan), 2 * 100000, 4 * 100000 + N_KEPT);
	xml_scan_deinit(&scan);
	assert_int_equal(xml_scan_held(&scan), 0);
	free((void *)text.data);
}

/* Feeds names that are new in each tag until the scan refuses more. @format has one number. Returns
 * how many bytes that took, or what an element may have. */
static size_t feed_names(struct xml_scan *scan, const char *open, const char *format)
{
	size_t n = strlen(ROOT) + strlen(open);
	struct xml_item item;
	int r = 0;

	feed_quietly(scan, ROOT);
	feed_quietly(scan, open);
	for (unsigned i = 0; r == 0 && n < N_LARGE - 100; i++) {
		char text[160];
		int n_text = snprintf(text, sizeof(text), format, i, i);

		n += (size_t)n_text;
		r = xml_scan_feed(scan, text, (size_t)n_text);
		int next_r;

		assert_false(xml_scan_next(scan, &item, &next_r));
		r = r ? r : next_r;
		bool are_many = scan->parser->memory.n_blocks > XML_BLOCKS_MAX;

		assert_int_equal(r, are_many ? XML_E_TOO_LARGE : 0);
		assert_in_range(scan->parser->memory.n_bytes, 1, n_memory_max);
	}
	return n;
}

static void test_limits(void **state)
{
	const struct setup *one = *state;
	struct {
		const char *open, *format;
		bool is_refused;
	} rows[] = {
		{"<m>", "<e%x/>", true},
		{"<m>", "<e%x a%x=''/>", true},
		{"<m>", "<e%x xmlns:p%x='u'/>", true},
		{"<m>", "<e%050x a%050x=''/>", true},
		{"<m>", "<e%070x/>", false},
		{"<m>", "<e a%0100x=''/>", false},
		/* What stanzas look like. */
		{"<m>", "<e jid='%x@example.org' name='n%x'><g>g</g></e>", false},
		{"<m>", "text %x", false},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct xml_scan scan;

		xml_scan_init(&scan, one->pool, &large_options);
		size_t n = feed_names(&scan, rows[i].open, rows[i].format);

		assert_int_equal(n < N_LARGE - 100, rows[i].is_refused);
		xml_scan_deinit(&scan);
	}
}

/* One attribute as long as an element may be, in whatever pieces, is no case for the limit. */
static void test_one_long_attribute(void **state)
{
	struct setup *one = *state;
	size_t n = N_LARGE - strlen("<m a=''/>");

	one->options = &large_options;
	struct sv text = long_text(ROOT, "<m a='", "x", n, "'/>");
	struct pieces pieces = {.rest = text, .way = PIECES_WHOLE};
	struct buffer log = BUFFER_INIT;

	run_outcome(&pieces, &log, one);
	pieces_end(&pieces);
	pieces = (struct pieces){.rest = text, .way = PIECES_RANDOM};
	run_outcome(&pieces, &log, one);
	pieces_end(&pieces);
	assert_true(sv_eq(buffer_sv(&log), SV("00")));
	buffer_deinit(&log);
	free((void *)text.data);
}

/* Feeds an element with @n different names at once. Returns what xml_scan_next() says then. */
static int read_names(struct xml_scan *scan, unsigned n)
{
	struct buffer text = BUFFER_INIT;
	struct xml_item item;
	int r = buffer_append_sv(&text, SV("<m>"));

	for (unsigned i = 0; r == 0 && i < n; i++) {
		r = buffer_printf(&text, "<e%x/>", i);
	}
	assert_int_equal(r, 0);
	assert_int_equal(buffer_append_sv(&text, SV("</m>")), 0);
	assert_in_range(xml_scan_feed(scan, text.data, text.n), 0, XML_E_TOO_LARGE);
	while (xml_scan_next(scan, &item, &r)) {
	}
	buffer_deinit(&text);
	return r;
}

/* The names of an element are counted while it is read, and not those of the elements before it, or
 * of other scans that had the parser. */
static void test_names(void **state)
{
	const unsigned n_most = XML_BLOCKS_MAX - XML_BLOCKS_KEPT;
	const struct setup *one = *state;

	for (unsigned round = 0; round < 3; round++) {
		struct xml_scan scan;

		xml_scan_init(&scan, one->pool, &large_options);
		feed_quietly(&scan, ROOT);
		assert_int_equal(read_names(&scan, n_most), 0);
		assert_int_equal(read_names(&scan, XML_BLOCKS_KEPT / 2), 0);
		assert_int_equal(read_names(&scan, n_most), 0);
		assert_int_equal(read_names(&scan, XML_BLOCKS_KEPT / 2), 0);
		assert_true(xml_scan_is_idle(&scan));
		xml_scan_deinit(&scan);
		xml_scan_init(&scan, one->pool, &large_options);
		feed_quietly(&scan, ROOT);
		assert_int_equal(read_names(&scan, 2 * XML_BLOCKS_MAX), XML_E_TOO_LARGE);
		assert_int_equal(scan.parser->memory.n_blocks, XML_BLOCKS_MAX + 1);
		xml_scan_deinit(&scan);
	}
}

/* What a large input made a parser take is not kept for the next. */
static void test_pool_keeps_no_memory(void **state)
{
	const struct setup *one = *state;
	struct xml_scan scans[4];

	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LENGTH(scans); i++) {
			xml_scan_init(&scans[i], one->pool, &large_options);
			(void)feed_names(&scans[i], "<m>", "<e a%x=''/>");
		}
		for (size_t i = 0; i < ARRAY_LENGTH(scans); i++) {
			xml_scan_deinit(&scans[i]);
		}
		/* One that ends well would be used again at once. */
		xml_scan_init(&scans[0], one->pool, &large_options);
		feed_quietly(&scans[0], ROOT "<m>");
		for (unsigned i = 0; i < 280; i++) {
			char text[1000];

			snprintf(text, sizeof(text), "<e a%0900u=''/>", i);
			feed_quietly(&scans[0], text);
		}
		assert_true(scans[0].parser->memory.n_bytes > N_KEPT);
		feed_quietly(&scans[0], "</m>");
		assert_null(scans[0].parser);
		for (size_t i = 0; i < ARRAY_LENGTH(scans); i++) {
			if (i) {
				xml_scan_init(&scans[i], one->pool, &large_options);
				feed_quietly(&scans[i], ROOT);
			}
			feed_quietly(&scans[i], "<m");
			assert_in_range(scans[i].parser->memory.n_bytes, 1, N_KEPT);
		}
		for (size_t i = 0; i < ARRAY_LENGTH(scans); i++) {
			xml_scan_deinit(&scans[i]);
		}
	}
}

/* Reads @n_nested elements with @n_each declarations each, which take two blocks of expat, and
 * leaves them open. Returns how many blocks the parser has that another scan gets then. */
static size_t blocks_after(const struct setup *one, unsigned n_nested, unsigned n_each)
{
	struct xml_scan scan;

	xml_pool_trim(one->pool);
	xml_scan_init(&scan, one->pool, &large_options);
	feed_quietly(&scan, ROOT "<m>");
	for (unsigned i = 0; i < n_nested; i++) {
		feed_quietly(&scan, "<a");
		for (unsigned j = 0; j < n_each; j++) {
			char text[100];

			snprintf(text, sizeof(text), " xmlns:p%u='u'", j);
			feed_quietly(&scan, text);
		}
		feed_quietly(&scan, ">");
	}
	xml_scan_deinit(&scan);
	xml_scan_init(&scan, one->pool, &large_options);
	feed_quietly(&scan, ROOT "<m>");
	size_t n_blocks = scan.parser->memory.n_blocks;

	feed_quietly(&scan, "</m>");
	assert_int_equal(read_names(&scan, XML_BLOCKS_MAX - XML_BLOCKS_KEPT), 0);
	xml_scan_deinit(&scan);
	return n_blocks;
}

/* expat keeps the blocks of declarations when it is reset. They must not count as the names of
 * whoever gets the parser next. */
static void test_pool_keeps_few_blocks(void **state)
{
	const size_t n_new = blocks_after(*state, 60, 24);

	assert_in_range(n_new, 1, N_BLOCKS_KEPT / 3);
	assert_in_range(blocks_after(*state, 1, N_BLOCKS_KEPT / 2), 1, n_new);
	assert_in_range(blocks_after(*state, 1, (N_BLOCKS_KEPT - (unsigned)n_new) / 2 - 4),
			N_BLOCKS_KEPT / 2, N_BLOCKS_KEPT);
}

/* Of the parsers that many peers needed at once, the pool keeps so many. One that has read much
 * still has the room for it. */
static void test_parsers_kept(void **state)
{
	enum { N = 34, N_READ = 40000, N_PARSERS_KEPT = 32 };
	const struct setup *one = *state;
	struct sv text = long_text(ROOT, "<m a='", "x", N_READ, "'>");
	struct xml_scan scans[N];
	size_t n_kept = 0;

	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < N; i++) {
			xml_scan_init(&scans[i], one->pool, &large_options);
			feed_quietly(&scans[i], round ? ROOT "<m" : text.data);
			n_kept += round && scans[i].parser->memory.n_bytes > N_READ;
		}
		for (size_t i = 0; i < N; i++) {
			xml_scan_deinit(&scans[i]);
		}
	}
	assert_int_equal(n_kept, N_PARSERS_KEPT);
	free((void *)text.data);
}

/* Feeds @n times @element at once, and @end. Returns what xml_scan_next() says at the end. */
static int read_many(const struct setup *one, const char *element, size_t n, const char *end)
{
	struct sv text = long_text(ROOT, "", element, n, end);
	struct xml_scan scan;
	struct xml_item item;
	size_t n_told = 0;
	int r;

	xml_scan_init(&scan, one->pool, &large_options);
	assert_in_range(xml_scan_feed(&scan, text.data, text.n), 0, XML_E_TOO_LARGE);
	while (xml_scan_next(&scan, &item, &r)) {
		assert_true(scan.parser->size_items <= XML_ITEMS_MAX);
		n_told += item.kind == XML_ITEM_ELEMENT && sv_eq(item.text, sv_from(element));
	}
	assert_int_equal(n_told, n);
	xml_scan_deinit(&scan);
	free((void *)text.data);
	return r;
}

/* A parser has few items at once, however many elements come; what follows is read as ever. */
static void test_items(void **state)
{
	static const char *const elements[] = {"<m/>", "<m><n/></m>", "<s:m>\n</s:m >"};

	/* The root is an item, too. */
	for (size_t n = XML_ITEMS_MAX - 2; n<3 * XML_ITEMS_MAX; n += n / 2> 512 ? n / 2 : 1) {
		for (size_t i = 0; i < ARRAY_LENGTH(elements); i++) {
			assert_int_equal(read_many(*state, elements[i], n, ""), 0);
			assert_int_equal(read_many(*state, elements[i], n, "<m"), 0);
			assert_int_equal(read_many(*state, elements[i], n, "</s:stream>\n"), 0);
			assert_int_equal(read_many(*state, elements[i], n, "x"), XML_E_SYNTAX);
			assert_int_equal(read_many(*state, elements[i], n, "</m>"), XML_E_SYNTAX);
			assert_int_equal(read_many(*state, elements[i], n, "<!-- -->"),
					 XML_E_RESTRICTED);
		}
	}
}

/* Nor is expat given more of a root that is too long already. */
static void test_root_too_long(void **state)
{
	const struct setup *one = *state;
	struct sv text = long_text("", "<r a='", "x", N_LARGE, "'/>");
	struct xml_scan scan;

	for (unsigned whole = 0; whole < 2; whole++) {
		if (whole) {
			xml_scan_init_whole(&scan, one->pool, &large_options);
		} else {
			xml_scan_init(&scan, one->pool, &large_options);
		}
		assert_int_equal(xml_scan_feed(&scan, text.data, text.n), XML_E_TOO_LARGE);
		assert_in_range(scan.parser->n_rescanned, XML_ROOT_MAX, XML_GIVEN_MAX);
		xml_scan_deinit(&scan);
	}
	free((void *)text.data);
}

/* Behind many elements expat is given long input in parts. A token that is cut is read again
 * once. */
static void test_given(void **state)
{
	static const char *const starts[] = {"<m>", "<m a='", "<m><n a='", "<m><![CDATA["};
	static const char *const ends[] = {"</m>", "'/>", "'/></m>", "]]></m>"};
	const struct setup *one = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(starts); i++) {
		struct sv many = long_text(ROOT, "", "<m/>", XML_ITEMS_MAX, "");
		struct sv text = long_text(many.data, starts[i], "&amp;", XML_GIVEN_MAX, "");
		struct xml_scan scan;

		xml_scan_init(&scan, one->pool, &large_options);
		assert_int_equal(feed_quietly(&scan, text.data), 1 + XML_ITEMS_MAX);
		assert_true(scan.parser->is_among_many);
		assert_in_range(scan.parser->n_rescanned, 0, XML_GIVEN_MAX);
		assert_int_equal(feed_quietly(&scan, ends[i]), 1);
		assert_true(xml_scan_is_idle(&scan));
		xml_scan_deinit(&scan);
		free((void *)text.data);
		free((void *)many.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_moved),
		TEST(test_what_is_freed_is_wiped),
		TEST(test_held),
		TEST(test_limits),
		TEST(test_one_long_attribute),
		TEST(test_names),
		TEST(test_pool_keeps_no_memory),
		TEST(test_pool_keeps_few_blocks),
		TEST(test_parsers_kept),
		TEST(test_items),
		TEST(test_root_too_long),
		TEST(test_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
