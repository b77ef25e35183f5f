/* SPDX-License-Identifier: MIT */
/*
 * common/xml.h. The first byte decides how the rest is scanned: as a document, a root that comes
 * whole, or without a root. Whole or cut, with text skipped or given to expat, with a used pool or
 * a new one, the items are the same. An element is completed to one that is read alone, as the
 * same. What xml-simple.h takes from any "<" on, expat alone takes with the same parts.
 *
 * covers: common/xml-scan.c common/xml-feed.c common/xml-parser.c common/xml-pool.c
 * covers: common/xml-scope.c common/xml-memory.c common/xml-text.c common/xml-cut.c
 * covers: common/xml-simple.c
 */
#include "tests/fuzz/fuzz.h"

#include <expat.h>

#include "common/xml-expat.h"
#include "tests/unit/common/xml-skip-copy.h"

static struct xml_pool *used_pool;

struct scan_setting {
	struct xml_pool *pool;
	enum corpus_kind kind;
};

static void begin(struct xml_scan *scan, const struct scan_setting *setting)
{
	if (setting->kind == CORPUS_ROOTLESS) {
		xml_scan_init_rootless(scan, setting->pool, &options);
	} else {
		(setting->kind == CORPUS_WHOLE ? xml_scan_init_whole
					       : xml_scan_init)(scan, setting->pool, &options);
	}
}

static void run_scan(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct scan_setting *setting = userdata;
	struct xml_scan scan;

	begin(&scan, setting);
	int r = scan_pieces(&scan, pieces, log);

	if (r != 0 || !(xml_scan_is_idle(&scan) || xml_scan_is_complete(&scan))) {
		/* Of two mistakes, the cuts decide which is seen first; and one behind a part of a
		 * character is seen when that is complete. */
		buffer_truncate(log, log->n - strlen(r ? "error 1\n" : "open\n"));
		LOG(log, "not accepted\n");
	}
	FUZZ_CHECK(xml_scan_held(&scan) <= XML_MEMORY_BASE + XML_MEMORY_FACTOR * XML_ROOT_MAX +
						   2 * (XML_ROOT_MAX + N_ELEMENT_MAX));
	xml_scan_deinit(&scan);
}

/* @text stands alone: it is one element, which inherits nothing. */
static void check_alone(struct sv text)
{
	const struct xml_scan_options large = {.n_element_max = 64 * 1024};
	struct xml_scan scan;
	struct xml_item item;
	size_t n_items = 0;
	int r;

	xml_scan_init_rootless(&scan, used_pool, &large);
	assert_int_equal(xml_scan_feed(&scan, text.data, text.n), 0);
	while (xml_scan_next(&scan, &item, &r)) {
		FUZZ_CHECK(n_items++ == 0 && item.kind == XML_ITEM_ELEMENT);
		FUZZ_CHECK(sv_eq(item.text, text) && item.missing == 0);
	}
	FUZZ_CHECK(r == 0 && n_items == 1 && xml_scan_is_idle(&scan));
	xml_scan_deinit(&scan);
}

/* Completes all elements. */
static void check_completed(struct sv input, const struct scan_setting *setting)
{
	struct buffer texts = BUFFER_INIT, text = BUFFER_INIT;
	struct xml_scan scan;
	struct xml_item item;
	int r;

	begin(&scan, setting);
	r = xml_scan_feed(&scan, input.data, input.n);
	FUZZ_CHECK(r >= 0);
	while (xml_scan_next(&scan, &item, &r)) {
		if (item.kind == XML_ITEM_ELEMENT) {
			buffer_clear(&text);
			assert_int_equal(xml_item_write(&scan, &item, &text), 0);
			FUZZ_CHECK(text.n >= item.text.n);
			assert_int_equal(buffer_append_sv(&texts, buffer_sv(&text)), 0);
			assert_int_equal(buffer_append(&texts, "\0", 1), 0);
		}
	}
	xml_scan_deinit(&scan);
	for (struct sv rest = buffer_sv(&texts); rest.n;) {
		check_alone(fuzz_part(&rest, '\0'));
	}
	buffer_deinit(&texts);
	buffer_deinit(&text);
}

/* Skipped or not, the items are those in @expected. */
static void check_skipping(struct sv input, struct scan_setting *setting, struct sv expected)
{
	for (skip_mode = 0; skip_mode < SKIP_MODES; skip_mode++) {
		struct buffer log = BUFFER_INIT;

		skip_random = fuzz_hash(input);
		fuzz_run(input, PIECES_WHOLE, run_scan, setting, &log);
		if (!sv_eq(buffer_sv(&log), expected)) {
			fail_msg("mode %d gave\n%.*s\nusually\n%.*s", (int)skip_mode,
				 SV_ARGS(buffer_sv(&log)), SV_ARGS(expected));
		}
		buffer_deinit(&log);
	}
	/* For the check of the pieces. */
	skip_mode = fuzz_hash(input) % 2 ? SKIP_USUALLY : SKIP_ANYWHERE;
}

#define OUTER "<x xmlns='urn:outer'>"

/* What expat says of the element in OUTER, in bytes behind it. */
struct judged {
	XML_Parser expat;
	struct buffer name; /* with its namespace */
	unsigned depth;
	size_t n_open, n;
};

static size_t event_end(const struct judged *judged)
{
	return (size_t)expat_token_index(judged->expat) + expat_token_length(judged->expat) -
	       strlen(OUTER);
}

static void on_start(void *userdata, const char *name, const char **attributes)
{
	struct judged *judged = userdata;

	(void)attributes;
	if (judged->depth++ == 1) {
		FUZZ_CHECK(judged->name.n == 0);
		LOG(&judged->name, "%s", name);
		judged->n_open = event_end(judged);
	}
}

static void on_end(void *userdata, const char *name)
{
	struct judged *judged = userdata;

	(void)name;
	if (--judged->depth == 1) {
		FUZZ_CHECK(judged->n == 0);
		judged->n = event_end(judged);
	}
}

static void judge(struct sv text, struct judged *ret_judged)
{
	static XML_Parser expat;

	if (!expat) {
		expat = XML_ParserCreateNS("UTF-8", '\n');
		FUZZ_CHECK(expat);
	}
	*ret_judged = (struct judged){.expat = expat};
	FUZZ_CHECK(XML_ParserReset(expat, "UTF-8"));
	XML_SetUserData(expat, ret_judged);
	XML_SetElementHandler(expat, on_start, on_end);
	FUZZ_CHECK(XML_Parse(expat, OUTER, (int)strlen(OUTER), 0) == XML_STATUS_OK);
	if (XML_Parse(expat, text.data, (int)text.n, 0) != XML_STATUS_OK) {
		fail_msg("expat refuses '%.*s'", SV_ARGS(text));
	}
}

/* Returns the length of the simple element at the beginning of @text; 0: there is none. */
static size_t check_simple(struct sv text)
{
	size_t n_open = xml_simple_open(text);
	struct xml_simple simple;
	struct judged judged;

	if (n_open) {
		judge(sv_first(text, n_open), &judged);
		FUZZ_CHECK(judged.depth == 2 && judged.n_open == n_open);
		buffer_deinit(&judged.name);
	}
	if (!usual_simple_read(text, &simple)) {
		return 0;
	}
	struct sv uri = simple.uri.n ? simple.uri : SV("urn:outer");
	struct buffer expected = BUFFER_INIT;

	LOG(&expected, "%.*s\n%.*s", SV_ARGS(uri), SV_ARGS(simple.name));
	judge(sv_first(text, simple.n), &judged);
	FUZZ_CHECK(judged.depth == 1 && judged.n == simple.n && judged.n_open == simple.n_open);
	FUZZ_CHECK(n_open == 0 || n_open == simple.n_open);
	FUZZ_CHECK(sv_eq(buffer_sv(&judged.name), buffer_sv(&expected)));
	buffer_deinit(&judged.name);
	buffer_deinit(&expected);
	return simple.n;
}

/* Behind an element that was taken, and from each "<" of what was not. */
static void check_all_simple(struct sv input)
{
	for (struct sv rest = input; rest.n;) {
		size_t n = check_simple(rest);

		rest = sv_skip(rest, n ? n : 1);
		rest = sv_skip(rest, n ? 0 : sv_find(rest, '<'));
	}
}

void fuzz_one(struct sv input)
{
	struct scan_setting setting = {.kind = fuzz_byte(&input) % CORPUS_KINDS};
	struct buffer with_used = BUFFER_INIT, with_fresh = BUFFER_INIT;

	if (!used_pool) {
		assert_int_equal(xml_pool_new(uris, N_URIS, &used_pool), 0);
	}
	setting.pool = used_pool;
	skip_mode = SKIP_USUALLY;
	fuzz_run(input, PIECES_WHOLE, run_scan, &setting, &with_used);
	check_skipping(input, &setting, buffer_sv(&with_used));
	if (setting.kind != CORPUS_WHOLE) {
		fuzz_check_cuts(input, run_scan, &setting);
	}
	check_completed(input, &setting);
	check_all_simple(input);
	assert_int_equal(xml_pool_new(uris, N_URIS, &setting.pool), 0);
	fuzz_run(input, PIECES_WHOLE, run_scan, &setting, &with_fresh);
	xml_pool_free(setting.pool);
	if (!sv_eq(buffer_sv(&with_used), buffer_sv(&with_fresh))) {
		fail_msg("used\n%.*s\nfresh\n%.*s", SV_ARGS(buffer_sv(&with_used)),
			 SV_ARGS(buffer_sv(&with_fresh)));
	}
	buffer_deinit(&with_used);
	buffer_deinit(&with_fresh);
}
