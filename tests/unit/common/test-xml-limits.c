/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/xml-parser.h"
#include "tests/unit/common/xml-case.h"

static const struct xml_scan_options large_options = {.n_element_max = 16 * 1024 * 1024};

static void test_limit_of_bytes(void **state)
{
	static const char open[] = "<m xmlns='a'>";
	static const char close[] = "</m>";
	const size_t n = N_ELEMENT_MAX - (sizeof(open) - 1) - (sizeof(close) - 1);

	check_outcome(*state, long_text(ROOT, open, "x", n, close), "0");
	check_outcome(*state, long_text(ROOT, open, "x", n + 1, close), "3");
	/* A start tag, an end tag and a comment that never end. */
	check_outcome(*state, long_text(ROOT, "<m a='", "x", N_ELEMENT_MAX - 6, ""), "0");
	check_outcome(*state, long_text(ROOT, "<m a='", "x", N_ELEMENT_MAX - 5, ""), "3");
	check_outcome(*state, long_text(ROOT, open, "x", n, "</m   "), "3");
	check_outcome(*state, long_text(ROOT, "<!--", "x", N_ELEMENT_MAX - 3, ""), "2");
	/* White space between elements is not counted: it is used as keepalive. */
	check_outcome(*state, long_text(ROOT, "<m/>", " ", 10 * N_ELEMENT_MAX, "<m/>"), "0");
	check_outcome(*state, long_text(ROOT, "", "<m/>", 10 * N_ELEMENT_MAX, ""), "0");
}

static void test_limit_of_root(void **state)
{
	static const char open[] = "<r xmlns='a' id='";
	static const char close[] = "'>";
	const size_t n = XML_ROOT_MAX - (sizeof(open) - 1) - (sizeof(close) - 1);

	check_outcome(*state, long_text("", open, "x", n, close), "0");
	check_outcome(*state, long_text("", open, "x", n + 1, close), "3");
	check_outcome(*state, long_text("", " ", " ", XML_ROOT_MAX, "<r>"), "3");
	/* An element that never ends. */
	check_outcome(*state, long_text("", "<r a='", "x", XML_ROOT_MAX - 6, ""), "0");
	check_outcome(*state, long_text("", "<r a='", "x", XML_ROOT_MAX - 5, ""), "3");
}

static void test_limit_of_depth(void **state)
{
	struct setup *one = *state;

	one->options = &large_options;
	check_outcome(one, long_text(ROOT, "", "<m>", XML_DEPTH_MAX - 1, ""), "0");
	check_outcome(one, long_text(ROOT, "", "<m>", XML_DEPTH_MAX, ""), "3");
}

static void test_limit_of_children(void **state)
{
	static const struct xml_scan_options told = {.n_element_max = 1024 * 1024,
						     .with_children = 1 << STREAMS};
	struct setup *one = *state;

	one->options = &told;
	check_outcome(one, long_text(ROOT, "<s:f>", "<a/>", XML_CHILDREN_MAX, "</s:f>"), "0");
	check_outcome(one, long_text(ROOT, "<s:f>", "<a/>", XML_CHILDREN_MAX + 1, "</s:f>"), "3");
	check_outcome(one, long_text(ROOT, "<f>", "<a/>", XML_CHILDREN_MAX + 1, "</f>"), "0");
}

/* A start tag in @place with @n attributes, @n_declared of them declarations. */
static struct sv many_attributes(const char *place, size_t n, size_t n_declared, const char *end)
{
	struct buffer text = BUFFER_INIT;

	LOG(&text, "%s<m", place);
	for (size_t i = 0; i < n; i++) {
		LOG(&text, " %s%zu='u'", i < n_declared ? "xmlns:a" : "a", i);
	}
	LOG(&text, "%s", end);
	return buffer_sv(&text);
}

static void test_limit_of_attributes(void **state)
{
	static const char *const places[] = {ROOT, ROOT "<m>", ROOT "<m><n>"};
	const size_t n = XML_ATTRIBUTES_MAX;
	struct setup *one = *state;

	one->options = &large_options;
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		check_outcome(one, many_attributes(places[i], n, 0, "/><m/>"), "0");
		check_outcome(one, many_attributes(places[i], n, n / 2, "/><m/>"), "0");
		check_outcome(one, many_attributes(places[i], n + 1, 0, "/>"), "3");
		check_outcome(one, many_attributes(places[i], n + 1, n / 2, "/>"), "3");
		check_outcome(one, many_attributes(places[i], n + 1, n + 1, "/>"), "3");
	}
	/* A tag of which only the beginning has come need not end to be too large. */
	for (size_t n_piece = 1; n_piece <= 4096; n_piece *= 4) {
		struct sv text = many_attributes(ROOT, 3 * n, 0, "");
		struct xml_scan scan;
		int r = 0;

		xml_scan_init(&scan, one->pool, &large_options);
		for (size_t i = 0; i < text.n && r == 0; i += n_piece) {
			struct sv piece = sv_first(sv_skip(text, i), n_piece);
			struct xml_item item;
			int fed = xml_scan_feed(&scan, piece.data, piece.n);

			while (xml_scan_next(&scan, &item, &r)) {
			}
			r = r ? r : fed;
		}
		assert_int_equal(r, XML_E_TOO_LARGE);
		xml_scan_deinit(&scan);
		free((void *)text.data);
	}
}

static void test_limit_of_declarations(void **state)
{
	for (size_t n = XML_SCOPE_MAX; n <= XML_SCOPE_MAX + 1; n++) {
		struct buffer text = BUFFER_INIT;
		struct buffer expected = BUFFER_INIT;

		LOG(&text, "<r");
		for (size_t i = 0; i < n; i++) {
			LOG(&text, " xmlns:p%zu='u%zu'", i, i);
		}
		LOG(&text, "><p%d:m/>", XML_SCOPE_MAX - 1);
		if (n == XML_SCOPE_MAX) {
			LOG(&expected,
			    "root -2 r\n-1 m <p%zu:m/> -> <p%zu:m xmlns:p%zu='u%zu'/>\nidle\n",
			    n - 1, n - 1, n - 1, n - 1);
		} else {
			LOG(&expected, "error 3\n");
		}
		assert_int_equal(buffer_append(&expected, "", 1), 0);
		pieces_check(buffer_sv(&text), run, *state, buffer_sv(&expected).data);
		buffer_deinit(&text);
		buffer_deinit(&expected);
	}
}

/* Three elements of six bytes, each completed with " xmlns:p='u...'". */
static void test_limit_of_completion(void **state)
{
	static const char open[] = "<r xmlns:p='", close[] = "'><p:m/><p:m/><p:m/>";
	const size_t n_all = XML_COMPLETION_BASE + XML_COMPLETION_FACTOR * 3 * 6;
	const size_t n = n_all / 3 - (sizeof(" xmlns:p=''") - 1);

	check_outcome(*state, long_text("", open, "u", n, close), "0");
	check_outcome(*state, long_text("", open, "u", n + 1, close), "3");
	/* What is escaped counts as it is written. */
	check_outcome(*state, long_text("", open, "&amp;", n / 5, close), "0");
	check_outcome(*state, long_text("", open, "&amp;", n / 5 + 1, close), "3");
	/* Those that bring it themselves, or do not use it, need nothing. */
	check_outcome(*state, long_text("", open, "u", n + 1, "'><m/><m/><m/><m/><p:m/><p:m/>"),
		      "0");
	/* The shortest elements of a stream, however many they are. */
	check_outcome(*state, long_text("<r xmlns='jabber:client'>", "", "<a/>", 10000, ""), "0");
}

/* The element that exceeds the limit is not given. */
static void test_nothing_above_completion(void **state)
{
	const struct setup *one = *state;
	struct sv text = long_text("", "<r xmlns:p='", "u", XML_COMPLETION_BASE / 3 + 100,
				   "'><p:m/><p:m/><p:m/>");
	struct xml_scan scan;
	struct xml_item item;
	size_t n_items = 0;
	int r;

	xml_scan_init(&scan, one->pool, &options);
	assert_int_equal(xml_scan_feed(&scan, text.data, text.n), 0);
	while (xml_scan_next(&scan, &item, &r)) {
		n_items++;
	}
	assert_int_equal(r, XML_E_TOO_LARGE);
	assert_int_equal(n_items, 3); /* the root, and two of the elements */
	xml_scan_deinit(&scan);
	free((void *)text.data);
}

/* Behind the root, as between elements, white space is no part of anything that has a limit. */
static void test_space_behind_root(void **state)
{
	const struct setup *one = *state;
	struct sv text = long_text("", "", " \n", N_ELEMENT_MAX, "");
	struct xml_scan scan;

	xml_scan_init(&scan, one->pool, &options);
	assert_int_equal(feed_quietly(&scan, "<r><m/></r>"), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(feed_quietly(&scan, text.data), 0);
		assert_true(xml_scan_is_complete(&scan));
		assert_int_equal(scan.partial.n, 0);
	}
	xml_scan_deinit(&scan);
	free((void *)text.data);
}

/* A scan that never rests between elements changes its parser unnoticed. */
static void test_hand_over(void **state)
{
	enum {
		N_BYTES = 3 * XML_PARSER_BYTES_MAX,
		N_PIECE = 1000,
	};
	const struct setup *one = *state;
	static const char element[] = "<m n='0123456789'><s:x>0123456789</s:x></m>";
	size_t n_element = sizeof(element) - 1;
	size_t n_elements = N_BYTES / n_element;
	struct sv text = long_text(ROOT, "", element, n_elements, "<m");
	struct sv rest = text;
	struct xml_scan scan;
	struct xml_item item;
	size_t n_told = 0, n_parsers = 1, n_fed = 0;
	int r;

	xml_scan_init(&scan, one->pool, &options);
	while (rest.n) {
		/* Pieces that never end at the end of an element. */
		size_t n = rest.n < N_PIECE ? rest.n : N_PIECE;
		struct sv done = {text.data,
				  (size_t)(rest.data - text.data) + n - (sizeof(ROOT) - 1)};
		n -= done.n % n_element == 0 && rest.n > n;

		char *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, rest.data, n);
		rest = sv_skip(rest, n);
		assert_int_equal(xml_scan_feed(&scan, copy, n), 0);
		while (xml_scan_next(&scan, &item, &r)) {
			struct buffer whole = BUFFER_INIT;

			if (item.kind == XML_ITEM_ELEMENT) {
				assert_int_equal(item.text.n, n_element);
				assert_memory_equal(item.text.data, element, n_element);
				assert_int_equal(xml_item_write(&scan, &item, &whole), 0);
				assert_int_equal(whole.n,
						 n_element + strlen(" xmlns='jabber:client' "
								    "xmlns:s='urn:streams'"));
				buffer_deinit(&whole);
				n_told++;
			}
		}
		assert_int_equal(r, 0);
		assert_non_null(scan.parser);
		/* A new parser has been fed less than the last one. Its address may be the same. */
		n_parsers += scan.parser->n_fed < n_fed;
		n_fed = scan.parser->n_fed;
		free(copy);
	}
	assert_int_equal(n_told, n_elements);
	assert_in_range(n_parsers, 3, 4);
	assert_false(xml_scan_is_idle(&scan));
	xml_scan_deinit(&scan);
	free((void *)text.data);
}

/* The same in one piece, with something that is refused after the change. */
static void test_hand_over_whole(void **state)
{
	struct setup *one = *state;
	static const char *const ends[] = {"<m/>",     "<m>",         "<m></n>",
					   "<!-- -->", "</s:stream>", "x"};
	static const char *const expected[] = {"0", "0", "1", "2", "0", "1"};

	one->options = &large_options;
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		struct sv text = long_text(
			ROOT, "", "<m xmlns='a'>0123456789012345678901234567890123456789</m>",
			XML_PARSER_BYTES_MAX / 40, ends[i]);
		struct pieces pieces = {.rest = text, .way = PIECES_WHOLE};
		struct buffer log = BUFFER_INIT;

		run_outcome(&pieces, &log, one);
		pieces_end(&pieces);
		assert_true(sv_eq(buffer_sv(&log), sv_from(expected[i])));
		buffer_deinit(&log);
		free((void *)text.data);
	}
	/* A single element of that size, in pieces: one parser reads all of it. */
	struct sv text = long_text(ROOT, "<m>", "x", XML_PARSER_BYTES_MAX, "</m>");
	struct pieces pieces = {.rest = text, .way = PIECES_RANDOM};
	struct buffer log = BUFFER_INIT;

	run_outcome(&pieces, &log, one);
	pieces_end(&pieces);
	assert_true(sv_eq(buffer_sv(&log), SV("0")));
	buffer_deinit(&log);
	free((void *)text.data);
}

/* After a large element, too, a new parser goes on: what follows is read as ever. */
static void test_large_element(void **state)
{
	struct setup *one = *state;
	static const char *const ends[] = {"</m>",        "</m><m/>",     "</m><m>",
					   "</m><m></n>", "</m><!-- -->", "</m></s:stream>",
					   "</m>x"};
	static const char *const expected[] = {"0", "0", "0", "1", "2", "0", "1"};

	one->options = &large_options;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(ends); i++) {
		/* The element is of the limit's size, or of one byte more. */
		size_t n_text = XML_ELEMENT_LARGE - strlen("<m></m>") + i % 2;
		struct sv text = long_text(ROOT, "<m>", "x", n_text, ends[i / 2]);

		for (unsigned way = PIECES_WHOLE; way <= PIECES_RANDOM; way++) {
			struct pieces pieces = {.rest = text, .way = way};
			struct buffer log = BUFFER_INIT;

			run_outcome(&pieces, &log, one);
			pieces_end(&pieces);
			assert_true(sv_eq(buffer_sv(&log), sv_from(expected[i / 2])));
			buffer_deinit(&log);
		}
		free((void *)text.data);
	}
}

/* Room is made for an element of which much has come, but for no more than it may have, and than
 * usual ones have; rounded up to a page. */
static void test_room(void **state)
{
	static const struct xml_scan_options less = {.n_element_max = 2 * XML_ROOM_MIN};
	static const struct {
		const struct xml_scan_options *options;
		size_t n, size;
	} cases[] = {
		{&large_options, XML_ROOM_MIN - 1, XML_ROOM_MIN},
		{&large_options, XML_ROOM_MIN, XML_ROOM_FACTOR * XML_ROOM_MIN},
		{&large_options, 2 * XML_ROOM_MIN, XML_ROOM_USUAL},
		{&large_options, XML_ROOM_USUAL, 2 * XML_ROOM_USUAL},
		{&less, XML_ROOM_MIN, 2 * XML_ROOM_MIN + 4096},
	};
	const struct setup *one = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct sv text = long_text(ROOT, "<m>", "x", cases[i].n - strlen("<m>"), "");
		struct xml_scan scan;

		xml_scan_init(&scan, one->pool, cases[i].options);
		feed_quietly(&scan, text.data);
		assert_int_equal(scan.partial.size, cases[i].size);
		xml_scan_deinit(&scan);
		free((void *)text.data);
	}
}

/* What is read into the room behind the bytes that are kept is not copied, and gives the same. */
static void test_room_to_read(void **state)
{
	const struct setup *one = *state;
	struct sv text = long_text(ROOT, "<m>", "x", XML_ROOM_MIN, "");
	struct xml_scan scan;
	struct xml_item item;
	size_t n_room;
	int r;

	xml_scan_init(&scan, one->pool, &large_options);
	assert_null(xml_scan_room(&scan, &n_room));
	assert_int_equal(feed_quietly(&scan, ROOT "<m>"), 1);
	assert_null(xml_scan_room(&scan, &n_room));
	xml_scan_deinit(&scan);

	xml_scan_init(&scan, one->pool, &large_options);
	assert_int_equal(feed_quietly(&scan, text.data), 1);
	char *room = xml_scan_room(&scan, &n_room);
	const char *kept = scan.partial.data;
	size_t n_kept = scan.partial.n;

	assert_non_null(room);
	assert_int_equal(n_room, scan.partial.size - XML_HEADROOM - n_kept);
	memcpy(room, "y</m>", 5);
	assert_int_equal(xml_scan_feed(&scan, room, 5), 0);
	assert_true(xml_scan_next(&scan, &item, &r));
	assert_ptr_equal(item.text.data, kept + XML_HEADROOM);
	assert_int_equal(item.text.n, n_kept + 5);
	assert_memory_equal(item.text.data + n_kept - 1, "xy</m>", 6);
	assert_false(xml_scan_next(&scan, &item, &r));
	assert_int_equal(r, 0);
	assert_true(xml_scan_is_idle(&scan));
	xml_scan_deinit(&scan);
	free((void *)text.data);
}

/* Feeds @n bytes of @piece, which are no element yet. Returns the error. */
static int feed_part(struct xml_scan *scan, const char *piece, size_t n)
{
	struct xml_item item;
	int r = xml_scan_feed(scan, piece, n);

	if (r == 0) {
		assert_false(xml_scan_next(scan, &item, &r));
	}
	return r;
}

/* A long token in tiny pieces is read by expat when it is complete, and not with each of them. */
static void test_long_tokens(void **state)
{
	static const struct {
		const char *open, *close;
		int result;
	} tokens[] = {{"<m a='", "'/>", 0},
		      {"<m a='>", "\"'/>", 0},
		      {"<m a=\"'>", "\" b='c'/>", 0},
		      {"<m><m", "/></m>", 0},
		      /* No element: its end has another name. */
		      {"<m></m", "></m>", XML_E_SYNTAX},
		      {"<m><?m >", ">?></m>", XML_E_RESTRICTED}};
	const struct setup *one = *state;
	char piece[7];

	memset(piece, 'm', sizeof(piece));
	for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++) {
		struct xml_scan scan;
		struct xml_item item;
		int r;

		xml_scan_init(&scan, one->pool, &large_options);
		feed_quietly(&scan, ROOT);
		assert_int_equal(xml_scan_feed(&scan, tokens[i].open, strlen(tokens[i].open)), 0);
		assert_false(xml_scan_next(&scan, &item, &r));
		for (size_t n = 0; n < 100 * 1000; n += sizeof(piece)) {
			assert_int_equal(feed_part(&scan, piece, sizeof(piece)), 0);
		}
		assert_true(scan.parser->n_rescanned < XML_TOKEN_LONG * XML_TOKEN_LONG);
		assert_true(xml_scan_held(&scan) > 2 * 100 * 1000);
		r = xml_scan_feed(&scan, tokens[i].close, strlen(tokens[i].close));
		assert_int_equal(r, tokens[i].result);
		assert_int_equal(xml_scan_next(&scan, &item, &r), tokens[i].result == 0);
		xml_scan_deinit(&scan);
	}
}

/* When it is complete, expat has read it once. */
static void test_long_token_at_its_end(void **state)
{
	const struct setup *one = *state;
	char piece[XML_TOKEN_LONG / 2];
	struct xml_scan scan;

	memset(piece, 'm', sizeof(piece));
	xml_scan_init(&scan, one->pool, &large_options);
	feed_quietly(&scan, ROOT "<m a='");
	for (size_t n = 0; n < XML_TOKEN_LONG * XML_TOKEN_LONG; n += sizeof(piece)) {
		assert_int_equal(feed_part(&scan, piece, sizeof(piece)), 0);
	}
	assert_int_equal(feed_part(&scan, "'>", 2), 0);
	assert_true(scan.parser->n_rescanned < XML_TOKEN_LONG * XML_TOKEN_LONG);
	xml_scan_deinit(&scan);
}

static void test_rescan_budget(void **state)
{
	const struct setup *one = *state;
	struct xml_scan scan;

	xml_scan_init(&scan, one->pool, &large_options);
	feed_quietly(&scan, ROOT "<m a='");
	scan.parser->n_rescanned = XML_RESCAN_MAX - strlen("<m a='x");
	assert_int_equal(feed_part(&scan, "x", 1), 0);
	xml_scan_deinit(&scan);

	xml_scan_init(&scan, one->pool, &large_options);
	feed_quietly(&scan, ROOT "<m a='");
	scan.parser->n_rescanned = XML_RESCAN_MAX - strlen("<m a='x") + 1;
	assert_int_equal(feed_part(&scan, "x", 1), XML_E_TOO_LARGE);
	xml_scan_deinit(&scan);

	/* Each element has the whole budget. */
	xml_scan_init(&scan, one->pool, &large_options);
	feed_quietly(&scan, ROOT "<m a='");
	scan.parser->n_rescanned = XML_RESCAN_MAX - strlen("<m a='x");
	assert_int_equal(feed_quietly(&scan, "'/><m a='"), 1);
	assert_true(scan.parser->n_rescanned < XML_TOKEN_LONG);
	xml_scan_deinit(&scan);
}

static void test_too_much_at_once(void **state)
{
	const struct setup *one = *state;
	struct xml_scan scan;

	xml_scan_init(&scan, one->pool, &options);
	assert_int_equal(xml_scan_feed(&scan, "", (size_t)INT32_MAX), XML_E_TOO_LARGE);
	assert_int_equal(feed_quietly(&scan, ""), 0);
	xml_scan_deinit(&scan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_limit_of_bytes),
		TEST(test_limit_of_root),
		TEST(test_limit_of_depth),
		TEST(test_limit_of_children),
		TEST(test_limit_of_attributes),
		TEST(test_limit_of_declarations),
		TEST(test_limit_of_completion),
		TEST(test_nothing_above_completion),
		TEST(test_space_behind_root),
		TEST(test_hand_over),
		TEST(test_hand_over_whole),
		TEST(test_long_tokens),
		TEST(test_long_token_at_its_end),
		TEST(test_rescan_budget),
		TEST(test_too_much_at_once),
		TEST(test_large_element),
		TEST(test_room),
		TEST(test_room_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
