/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the tests of common/xml.h share: a used pool, and a scan whose items are written into a log.
 * Included after cmocka.h.
 */
#include <errno.h>
#include <stdio.h>

#include "common/xml-parser.h"
#include "tests/unit/corpus.h"

enum {
	CLIENT,
	STREAMS,
	TOLD, /* attributes of its elements are reported */
	XML,
	N_URIS,

	N_ELEMENT_MAX = 400,
};

static const char *const uris[N_URIS] = {"jabber:client", "urn:streams", "urn:told",
					 "http://www.w3.org/XML/1998/namespace"};

static const struct xml_scan_options options = {
	.n_element_max = N_ELEMENT_MAX,
	.with_attributes = 1 << TOLD,
	.with_children = 1 << STREAMS,
};

#define ROOT "<s:stream xmlns='jabber:client' xmlns:s='urn:streams'>"

struct setup {
	struct xml_pool *pool;
	const struct xml_scan_options *options;
	bool rootless;
};

static inline int setup(void **state)
{
	static struct setup one;

	one = (struct setup){.options = &options};
	*state = &one;
	return corpus_pool_new(uris, N_URIS, &one.pool);
}

static inline int teardown(void **state)
{
	struct setup *one = *state;

	one->pool = xml_pool_free(one->pool);
	return 0;
}

static inline void log_attribute(const struct xml_scan *scan, const struct xml_item *item, int ns,
				 const char *name, struct buffer *log)
{
	struct sv value = xml_item_attribute(scan, item, ns, sv_from(name));

	if (value.data) {
		LOG(log, " %d:%s='%.*s'", ns, name, SV_ARGS(value));
	}
}

static inline void log_element(const struct xml_scan *scan, const struct xml_item *item,
			       struct buffer *log)
{
	struct buffer text = BUFFER_INIT;

	/* The start tag ends where it says. */
	assert_in_range(item->n_open, 1, item->text.n);
	assert_int_equal(item->text.data[item->n_open - 1], '>');
	assert_int_equal(item->text.data[0], '<');
	LOG(log, "%d %.*s %.*s", item->ns, SV_ARGS(item->name), SV_ARGS(item->text));
	assert_int_equal(xml_item_write(scan, item, &text), 0);
	if (!sv_eq(buffer_sv(&text), item->text)) {
		LOG(log, " -> %.*s", SV_ARGS(buffer_sv(&text)));
	}
	buffer_deinit(&text);
	for (size_t i = 0; i < item->n_children; i++) {
		struct xml_child child = xml_item_child(scan, item, i);

		LOG(log, " [%d %.*s %.*s]", child.ns, SV_ARGS(child.name), SV_ARGS(child.text));
	}
}

static inline void log_item(const struct xml_scan *scan, const struct xml_item *item,
			    struct buffer *log)
{
	switch (item->kind) {
	case XML_ITEM_ROOT:
		LOG(log, "root %d %.*s", item->ns, SV_ARGS(item->name));
		break;
	case XML_ITEM_ELEMENT:
		log_element(scan, item, log);
		break;
	case XML_ITEM_ROOT_END:
		LOG(log, "end");
		break;
	}
	log_attribute(scan, item, XML_NS_NONE, "id", log);
	log_attribute(scan, item, XML, "lang", log);
	log_attribute(scan, item, CLIENT, "id", log);
	LOG(log, "\n");
}

static inline const char *resting_name(const struct xml_scan *scan)
{
	return xml_scan_is_idle(scan) ? "idle" : xml_scan_is_complete(scan) ? "complete" : "open";
}

/* The scan is at its end: it tells what it has held. */
static inline int scan_flush(struct xml_scan *scan, struct buffer *log)
{
	struct xml_item item;
	int r = xml_scan_feed(scan, "", 0), next_r;

	r = r ? r : xml_scan_flush(scan);
	while (xml_scan_next(scan, &item, &next_r)) {
		log_item(scan, &item, log);
	}
	return r ? r : next_r;
}

/* Feeds all pieces, and logs the items, then "idle", "complete", "open" or "error N". */
static inline int scan_pieces(struct xml_scan *scan, struct pieces *pieces, struct buffer *log)
{
	struct sv piece;
	struct xml_item item;
	int r = 0, next_r;

	while (pieces_next(pieces, &piece)) {
		r = xml_scan_feed(scan, piece.data, piece.n);
		while (xml_scan_next(scan, &item, &next_r)) {
			log_item(scan, &item, log);
		}
		r = r ? r : next_r;
		if (r) {
			LOG(log, "error %d\n", r);
			return r;
		}
	}
	if (scan->parser && scan->parser->held.n) {
		r = scan_flush(scan, log);
	}
	if (r) {
		LOG(log, "error %d\n", r);
	} else {
		LOG(log, "%s\n", resting_name(scan));
	}
	return r;
}

static inline void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct setup *one = userdata;
	struct xml_scan scan;

	if (one->rootless) {
		xml_scan_init_rootless(&scan, one->pool, one->options);
	} else {
		xml_scan_init(&scan, one->pool, one->options);
	}
	(void)scan_pieces(&scan, pieces, log);
	xml_scan_deinit(&scan);
}

/* ROOT and "<m>", @n times @piece, "</m>"; the caller frees it. */
static inline struct sv long_text(const char *root, const char *open, const char *piece, size_t n,
				  const char *close)
{
	size_t n_piece = strlen(piece);
	size_t n_head = strlen(root) + strlen(open);
	char *text = malloc(n_head + n * n_piece + strlen(close) + 1);

	assert_non_null(text);
	memcpy(text, root, strlen(root));
	memcpy(text + strlen(root), open, strlen(open));
	for (size_t i = 0; i < n; i++) {
		memcpy(text + n_head + i * n_piece, piece, n_piece);
	}
	memcpy(text + n_head + n * n_piece, close, strlen(close) + 1);
	return sv_from(text);
}

/* Whether it is accepted: "" or the error. */
static inline void run_outcome(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct setup *one = userdata;
	struct xml_scan scan;
	struct buffer unread = BUFFER_INIT;

	xml_scan_init(&scan, one->pool, one->options);
	int r = scan_pieces(&scan, pieces, &unread);

	LOG(log, "%d", r);
	xml_scan_deinit(&scan);
	buffer_deinit(&unread);
}

static inline void check_outcome(const struct setup *one, struct sv text, const char *expected)
{
	pieces_check(text, run_outcome, (void *)one, expected);
	free((void *)text.data);
}

/* Feeds a heap copy and expects no error. */
static inline size_t feed_quietly(struct xml_scan *scan, const char *text)
{
	size_t n = strlen(text), n_items = 0;
	char *copy = malloc(n ? n : 1);
	struct xml_item item;
	int r;

	assert_non_null(copy);
	memcpy(copy, text, n);
	assert_int_equal(xml_scan_feed(scan, copy, n), 0);
	while (xml_scan_next(scan, &item, &r)) {
		n_items++;
	}
	assert_int_equal(r, 0);
	free(copy);
	return n_items;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
