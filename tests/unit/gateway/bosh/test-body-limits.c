/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>

#include "common/xml-parser.h"
#include "tests/unit/gateway/bosh/body-case.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/isolation.h"

/* BODY with @n more bytes: in the attribute @name, or as text of a payload. */
static int read_padded(const char *name, size_t n)
{
	struct buffer text = BUFFER_INIT;
	struct bosh_body body;

	assert_int_equal(buffer_printf(&text, "<body" NS " ver='1.6'"), 0);
	if (name) {
		assert_int_equal(buffer_printf(&text, " %s='%0*d'/>", name, (int)n, 0), 0);
	} else {
		assert_int_equal(buffer_printf(&text, "><m>%0*d</m></body>", (int)n, 0), 0);
	}
	int r = read_bytes(buffer_sv(&text), &body);

	/* How to refuse is known, unless nothing was parsed. */
	assert_int_equal(body.has_ver, text.n <= N_BODY_MAX);
	buffer_deinit(&text);
	bosh_body_deinit(&body);
	return r;
}

static void test_limits(void **state)
{
	static const char *const names[] = {"to",       "from", "sid", "route",
					    "xml:lang", "key",  "type"};
	const size_t n = N_BODY_MAX - strlen("<body" NS " ver='1.6'><m></m></body>");
	struct buffer deep = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		assert_int_equal(read_padded(names[i], BOSH_ATTRIBUTE_MAX), BOSH_BODY_OK);
		assert_int_equal(read_padded(names[i], BOSH_ATTRIBUTE_MAX + 1),
				 BOSH_BODY_E_TOO_COMPLEX);
	}
	assert_int_equal(read_padded(NULL, n), BOSH_BODY_OK);
	assert_int_equal(read_padded(NULL, n + 1), BOSH_BODY_E_TOO_LARGE);

	assert_int_equal(buffer_printf(&deep, "<body" NS ">"), 0);
	for (size_t i = 0; i < XML_DEPTH_MAX; i++) {
		assert_int_equal(buffer_printf(&deep, "<a>"), 0);
	}
	assert_int_equal(buffer_append(&deep, "", 1), 0);
	check_result(buffer_sv(&deep).data, BOSH_BODY_E_TOO_COMPLEX);
	buffer_deinit(&deep);
}

static size_t n_feeds;

/* Stands before the one in the library of what is tested. */
int xml_parser_feed(struct xml_parser *parser, const char *data, size_t n)
{
	static int (*feed)(struct xml_parser * parser, const char *data, size_t n);

	if (!feed) {
		/* ISO C has no cast from an object to a function. */
		void *function = dlsym(RTLD_NEXT, "xml_parser_feed");

		assert_non_null(function);
		memcpy(&feed, &function, sizeof(feed));
	}
	n_feeds++;
	return feed(parser, data, n);
}

/* A body that is refused is not read any further: each parser reads XML_ITEMS_MAX elements. */
static void test_refused_at_once(void **state)
{
	static const struct {
		const char *first;
		int result;
		size_t n_feeds;
	} rows[] = {
		{"<body" NS ">", BOSH_BODY_OK, 5},
		{"<body" NS "><close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
		 BOSH_BODY_E_BAD_REQUEST, 1},
		{"<body xmlns='jabber:client'>", BOSH_BODY_E_BAD_REQUEST, 1},
		{"<body" NS " rid='0'>", BOSH_BODY_E_BAD_REQUEST, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct buffer text = BUFFER_INIT;
		struct bosh_body body;

		assert_int_equal(buffer_append_sv(&text, sv_from(rows[i].first)), 0);
		for (size_t j = 0; j < 4 * XML_ITEMS_MAX; j++) {
			assert_int_equal(buffer_append_sv(&text, SV("<a/>")), 0);
		}
		assert_int_equal(buffer_append_sv(&text, SV("</body>")), 0);
		n_feeds = 0;
		assert_int_equal(bosh_body_init(&body, pool, &options, buffer_sv(&text)),
				 rows[i].result);
		assert_int_equal(n_feeds, rows[i].n_feeds);
		bosh_body_deinit(&body);
		buffer_deinit(&text);
	}
}

/* A body of @n elements @element, with the declaration of a prefix of @n_uri bytes. */
static int read_many(const char *element, size_t n, size_t n_uri)
{
	const struct xml_scan_options large = bosh_body_options(1024 * 1024);
	struct buffer text = BUFFER_INIT;
	struct bosh_body body;

	assert_int_equal(buffer_printf(&text, "<body" NS " xmlns:p='%0*d'>", (int)n_uri, 0), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(buffer_append_sv(&text, sv_from(element)), 0);
	}
	assert_int_equal(buffer_append_sv(&text, SV("</body>")), 0);
	int r = bosh_body_init(&body, pool, &large, buffer_sv(&text));

	if (r == BOSH_BODY_OK) {
		assert_int_equal(body.n_payloads, n);
		assert_true(body.payloads.n >= n * strlen(element));
	}
	buffer_deinit(&text);
	bosh_body_deinit(&body);
	return r;
}

/* Only what is written counts as completion: not the body's namespace, which all that is in it
 * inherits. */
static void test_completion(void **state)
{
	/* " xmlns:p='...'" of 142 bytes; each element has 13, which allow for 6 * 13. */
	const size_t n_uri = 142 - strlen(" xmlns:p=''"), n = XML_COMPLETION_BASE / (142 - 6 * 13);

	(void)state;
	assert_int_equal(read_many("<a/>", 100000, 1), BOSH_BODY_OK);
	assert_int_equal(read_many("<a><p:b/></a>", n, n_uri), BOSH_BODY_OK);
	assert_int_equal(read_many("<a><p:b/></a>", n + 1, n_uri), BOSH_BODY_E_TOO_COMPLEX);
}

/* What cannot be parsed stands behind an element that is refused: the first fault counts, as where
 * the body comes in portions. */
static void test_first_fault(void **state)
{
	enum {
		N_URI = XML_COMPLETION_BASE / 4,
		N_ELEMENTS = 8,
	};
	struct buffer text = BUFFER_INIT;
	struct bosh_body body;

	(void)state;
	assert_int_equal(buffer_printf(&text, "<body" NS " rid='1' xmlns:p='%0*d'>", N_URI, 0), 0);
	for (size_t i = 0; i < N_ELEMENTS; i++) {
		assert_int_equal(buffer_append_sv(&text, SV("<p:a/>")), 0);
	}
	assert_int_equal(buffer_append_sv(&text, SV("text</body>")), 0);
	assert_int_equal(read_bytes(buffer_sv(&text), &body), BOSH_BODY_E_TOO_COMPLEX);
	bosh_body_deinit(&body);
	buffer_deinit(&text);
}

/* Larger than what one parser takes: the document goes on in a second one. */
static void test_huge(void **state)
{
	enum {
		N_STANZAS = 60000,
	};
	const struct xml_scan_options large = bosh_body_options(8 * 1024 * 1024);
	struct buffer text = BUFFER_INIT;
	struct bosh_body body;

	(void)state;
	assert_int_equal(buffer_printf(&text, "<body" NS " rid='1'>"), 0);
	for (size_t i = 0; i < N_STANZAS; i++) {
		assert_int_equal(buffer_append_sv(&text, SV("<message>0123456789</message>")), 0);
	}
	assert_true(text.n > XML_PARSER_BYTES_MAX);
	assert_int_equal(bosh_body_init(&body, pool, &large, buffer_sv(&text)),
			 BOSH_BODY_E_BAD_REQUEST);
	bosh_body_deinit(&body);
	assert_int_equal(buffer_append_sv(&text, SV("</body>")), 0);
	assert_int_equal(bosh_body_init(&body, pool, &large, buffer_sv(&text)), BOSH_BODY_OK);
	assert_int_equal(body.n_payloads, N_STANZAS);
	assert_int_equal(body.payloads.n, N_STANZAS * strlen("<message>0123456789</message>"));
	bosh_body_deinit(&body);
	buffer_deinit(&text);
}

static int scenario(void *userdata)
{
	static const char text[] =
		"<body" NS
		" rid='1' sid='abc' to='example.org' from='a@example.org' xmlns:x='urn:x'>"
		"<message><x:y/></message><iq/></body>";
	struct xml_pool *own_pool;
	struct bosh_body body = {0};
	int r = xml_pool_new(namespaces, NS_COUNT, &own_pool);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	for (size_t i = 0; r == 0 && i < 2; i++) {
		r = bosh_body_init(&body, own_pool, &options, sv_from(text));
		/* Without memory for a prefix expat 2.5 calls it an undeclared one. */
		r = r == BOSH_BODY_E_BAD_REQUEST ? -ENOMEM : r;
		if (r == 0 && (body.n_payloads != 2 || !sv_eq(body.to, SV("example.org")))) {
			r = 5;
		}
		bosh_body_deinit(&body);
	}
	xml_pool_free(own_pool);
	return r;
}

static void test_without_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 20);
}

static void log_number(struct buffer *log, const struct bosh_number *number)
{
	LOG(log, " %d:%llu", number->is_set, (unsigned long long)number->value);
}

/* Logs all that is known of a body, which comes in one piece. */
static void run_body(struct xml_pool *over, struct pieces *pieces, struct buffer *log)
{
	struct bosh_body body;
	int r = bosh_body_init(&body, over, &options, pieces->rest);
	const struct sv texts[] = {body.sid,  body.to,     body.from,      body.route,
				   body.lang, body.type,   body.condition, body.content,
				   body.key,  body.newkey, body.stream,    body.xmpp_version};

	LOG(log, "%d: %d:%llu %d:%u.%u %d %zu", r, body.has_rid, (unsigned long long)body.rid,
	    body.has_ver, body.ver_major, body.ver_minor, body.wants_restart, body.n_payloads);
	log_number(log, &body.wait);
	log_number(log, &body.hold);
	log_number(log, &body.ack);
	log_number(log, &body.pause);
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		LOG(log, " %s", texts[i].data ? "=" : "-");
		assert_int_equal(buffer_append_sv(log, texts[i]), 0);
	}
	LOG(log, "\n%.*s\n", SV_ARGS(buffer_sv(&body.payloads)));
	bosh_body_deinit(&body);
}

static void test_isolation(void **state)
{
	const struct isolation isolation = {
		.namespaces = namespaces, .n_namespaces = NS_COUNT, .run = run_body};

	(void)state;
	isolation_check(&isolation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_refused_at_once),
		cmocka_unit_test(test_completion), cmocka_unit_test(test_first_fault),
		cmocka_unit_test(test_huge),       cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_isolation),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
