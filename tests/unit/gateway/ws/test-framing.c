/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "gateway/ws/framing.h"
#include "gateway/xmpp/namespace.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/isolation.h"
#include "tests/unit/pieces.h"

enum {
	N_ELEMENT_MAX = 4000,
	N_MESSAGES_MAX = 8,
};

#define NS " xmlns='urn:ietf:params:xml:ns:xmpp-framing'"
#define OPEN "<open" NS " to='example.org' version='1.0'/>"
#define OPENED "open example.org - - 1.0\n"

static struct xml_pool *pool;
static struct xml_scan_options options;

static int setup(void **state)
{
	(void)state;
	options = framing_options(N_ELEMENT_MAX);
	return corpus_pool_new(namespaces, NS_COUNT, &pool);
}

static int teardown(void **state)
{
	(void)state;
	pool = xml_pool_free(pool);
	return 0;
}

static void log_text(struct buffer *log, struct sv text)
{
	LOG(log, " %.*s", text.n ? (int)text.n : 1, text.n ? text.data : "-");
}

static void log_event(const struct framing_event *event, struct buffer *log)
{
	switch (event->kind) {
	case FRAMING_EVENT_NONE:
		break;
	case FRAMING_EVENT_OPEN:
	case FRAMING_EVENT_RESTART:
		LOG(log, event->kind == FRAMING_EVENT_OPEN ? "open" : "restart");
		log_text(log, event->to);
		log_text(log, event->from);
		log_text(log, event->lang);
		log_text(log, event->version);
		LOG(log, "\n");
		break;
	case FRAMING_EVENT_ELEMENT:
		LOG(log, "element %.*s\n", SV_ARGS(event->element));
		break;
	case FRAMING_EVENT_CLOSE:
		LOG(log, "close\n");
		break;
	case FRAMING_EVENT_BAD:
		LOG(log, "bad %s\n", event->condition);
		assert_true(event->reason && event->reason[0]);
		break;
	}
}

static void drain(struct framing *framing, struct buffer *log)
{
	struct framing_event event;

	do {
		framing_next(framing, &event);
		log_event(&event, log);
	} while (event.kind != FRAMING_EVENT_NONE);
}

/* @userdata: a list of messages, each cut in its pieces. */
static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const char *const *messages = userdata;
	struct framing framing;
	struct sv piece;

	framing_init(&framing, pool, &options);
	for (size_t i = 0; i < N_MESSAGES_MAX && messages[i]; i++) {
		struct pieces message = *pieces;

		message.rest = sv_from(messages[i]);
		if (message.rest.n == 0) {
			assert_int_equal(framing_feed(&framing, NULL, 0, true, true), 0);
			drain(&framing, log);
		}
		while (pieces_next(&message, &piece)) {
			assert_int_equal(framing_feed(&framing, piece.data, piece.n,
						      message.rest.n == 0, true),
					 0);
			drain(&framing, log);
		}
		pieces_end(&message);
		if (!framing.is_over) {
			/* Between two messages nothing is kept. */
			assert_null(framing.element.data);
			assert_null(framing.text.data);
			assert_true(xml_scan_is_idle(&framing.scan));
		}
	}
	framing_deinit(&framing);
	framing_deinit(&framing);
}

#define CHECK(expected, ...) \
	pieces_check(SV(""), run, (const char *[N_MESSAGES_MAX]){__VA_ARGS__}, expected)

static void test_open(void **state)
{
	(void)state;
	CHECK(OPENED, OPEN);
	CHECK("open example.org a@example.org de 1.0\n",
	      "<open from='a@example.org' version='1.0' xml:lang='de' to='example.org'" NS
	      "></open>");
	CHECK("open - - - -\n", "<f:open xmlns:f='urn:ietf:params:xml:ns:xmpp-framing' to=''/>");
	CHECK("open <&' - - -\n", "<open" NS " to='&lt;&amp;&apos;'/>");
	CHECK(OPENED "restart x - - -\n", OPEN, "<open" NS " to='x'/>");
	/* White space around it. */
	CHECK(OPENED, "\n", "", " \r", " \n" OPEN "\r\n");
}

static void test_elements(void **state)
{
	(void)state;
	CHECK(OPENED "element <message xmlns='jabber:client' a = \"1\"><b/>x</message>\n"
		     "element <c:iq xmlns:c='jabber:client'/>\n",
	      OPEN, "<message xmlns='jabber:client' a = \"1\"><b/>x</message>", " ",
	      " <c:iq xmlns:c='jabber:client'/>\n");
	CHECK(OPENED "element <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGE=</auth>\n"
		     "restart example.org - - 1.0\nelement <r xmlns='urn:xmpp:sm:3'/>\n",
	      OPEN, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGE=</auth>", OPEN,
	      "<r xmlns='urn:xmpp:sm:3'/>");
	CHECK(OPENED "element <a xmlns='b'><![CDATA[<&]]><c><![CDATA[]]></c></a>\n", OPEN,
	      "<a xmlns='b'><![CDATA[<&]]><c><![CDATA[]]></c></a>");
	/* A CR at the end of a message is white space too. */
	CHECK(OPENED
	      "element <iq xmlns='jabber:client'/>\nelement <iq xmlns='jabber:client'>\r</iq>\n",
	      OPEN, "<iq xmlns='jabber:client'/>\r", "<iq xmlns='jabber:client'>\r</iq>");
}

static void test_close(void **state)
{
	(void)state;
	CHECK("close\n", "<close" NS "/>", OPEN, "<");
	CHECK(OPENED "close\n", OPEN, "<close" NS " see-other-uri='wss://x'/>",
	      "<message xmlns='jabber:client'/>");
}

#define BAD(condition, ...) CHECK(OPENED "bad " condition "\n", OPEN, __VA_ARGS__, OPEN)

static void test_bad(void **state)
{
	(void)state;
	BAD("not-well-formed", "<a xmlns='b'>");
	BAD("not-well-formed", "<a xmlns='b'");
	BAD("not-well-formed", "<a></b>");
	BAD("not-well-formed", "text");
	BAD("not-well-formed", "<a xmlns='b'/>text");
	BAD("not-well-formed", "<a xmlns='b'>\xff</a>");
	BAD("not-well-formed", "<p:a/>");
	/* Half of an element in each of two messages is none. */
	BAD("not-well-formed", "<a xmlns='b'>", "</a>");
	/* Whatever the end tag of the root that is not there is called. */
	BAD("not-well-formed", "</x>");
	BAD("not-well-formed", "</stream:stream>");
	BAD("not-well-formed", "</x><a xmlns='b'/>");
	BAD("not-well-formed", "<a xmlns='b'/></x>");
	/* A section where an element belongs, complete or not, in one message or in two. */
	BAD("not-well-formed", "<![CDATA[");
	BAD("not-well-formed", "<![CDATA[]]>");
	BAD("not-well-formed", "<![CDATA[ ]]>", "<a xmlns='b'/>");
	BAD("not-well-formed", "<a xmlns='b'/><![CDATA[");
	BAD("not-well-formed", "<![CDATA", "[]]><a xmlns='b'/>");
	BAD("not-well-formed", "\r<!", "<a xmlns='b'/>");
	BAD("not-well-formed", "]", "]");
	BAD("not-well-formed", "\xc3");
	BAD("restricted-xml", "<!DOCTYPE a><a xmlns='b'/>");
	BAD("restricted-xml", " \n<!DOCTYPE a [<!ENTITY b 'c'>]>");
	BAD("restricted-xml", "<!DOC<a");
	BAD("not-well-formed", "x<!DOCTYPE a>");
	BAD("not-well-formed", "<!ELEMENT a>");
	BAD("restricted-xml", "<!-- -->");
	BAD("restricted-xml", "<?p i?>");
	BAD("restricted-xml", "<a xmlns='b'>&c;</a>");
	BAD("bad-format", "<a xmlns='b'/><a xmlns='b'/>");
	BAD("bad-format", OPEN "<a xmlns='b'/>");
	BAD("bad-format", "<a xmlns='b'/>" OPEN);
	BAD("bad-format", "<a xmlns='b'/><close" NS "/>");
	BAD("invalid-namespace", "<message/>");
	BAD("unsupported-stanza-type", "<x" NS "/>");
	BAD("unsupported-stanza-type",
	    "<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>");
	BAD("unsupported-stanza-type", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
	BAD("unsupported-stanza-type", "<compress xmlns='http://jabber.org/protocol/compress'/>");
	BAD("unsupported-stanza-type", "<body xmlns='http://jabber.org/protocol/httpbind'/>");
	CHECK("bad not-well-formed\n", "<![CDATA[", OPEN);
	/* Before <open/> there is no stream that an element could be for. */
	CHECK("bad invalid-namespace\n", "<message xmlns='jabber:client'/>", OPEN);
	CHECK("bad invalid-namespace\n", "<open to='x'/>", OPEN);
	CHECK("bad invalid-namespace\n", "<open xmlns='jabber:client' to='x'/>", OPEN);
	CHECK("bad not-well-formed\n",
	      "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", OPEN);
}

/* The log says which rule was broken: an end tag alone is not half of an element. */
static void test_reason(void **state)
{
	static const struct {
		const char *message, *reason;
	} rows[] = {
		{"</x>", "the message is not an XML element"},
		{"<a xmlns='b'>", "the message ends inside an element"},
	};
	struct framing framing;
	struct framing_event event;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const char *message = rows[i].message;

		framing_init(&framing, pool, &options);
		assert_int_equal(framing_feed(&framing, message, strlen(message), true, true), 0);
		framing_next(&framing, &event);
		assert_int_equal(event.kind, FRAMING_EVENT_BAD);
		assert_string_equal(event.reason, rows[i].reason);
		framing_deinit(&framing);
	}
}

static void test_binary(void **state)
{
	struct framing framing;
	struct framing_event event;

	(void)state;
	framing_init(&framing, pool, &options);
	assert_int_equal(framing_feed(&framing, OPEN, strlen(OPEN), true, false), 0);
	framing_next(&framing, &event);
	assert_int_equal(event.kind, FRAMING_EVENT_BAD);
	assert_string_equal(event.condition, "bad-format");
	assert_int_equal(framing_feed(&framing, OPEN, strlen(OPEN), true, true), 0);
	framing_next(&framing, &event);
	assert_int_equal(event.kind, FRAMING_EVENT_NONE);
	framing_deinit(&framing);
}

/* Nothing is told before the end of the message: what follows may make it bad. */
static void test_told_at_the_end(void **state)
{
	struct framing framing;
	struct framing_event event;

	(void)state;
	framing_init(&framing, pool, &options);
	assert_int_equal(framing_feed(&framing, OPEN, strlen(OPEN), false, true), 0);
	framing_next(&framing, &event);
	assert_int_equal(event.kind, FRAMING_EVENT_NONE);
	assert_int_equal(framing_feed(&framing, "", 0, true, true), 0);
	framing_next(&framing, &event);
	assert_int_equal(event.kind, FRAMING_EVENT_OPEN);
	assert_true(sv_eq(event.to, SV("example.org")));
	framing_next(&framing, &event);
	assert_int_equal(event.kind, FRAMING_EVENT_NONE);
	framing_deinit(&framing);
}

static void test_limits(void **state)
{
	char message[N_ELEMENT_MAX + 100];
	char expected[N_ELEMENT_MAX + 200];

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		/* "<a xmlns='b'></a>" has 17 bytes. */
		snprintf(message, sizeof(message), "<a xmlns='b'>%0*d</a>",
			 (int)(N_ELEMENT_MAX - 17 + more), 0);
		if (more) {
			BAD("policy-violation", message);
		} else {
			snprintf(expected, sizeof(expected), "%selement %s\n", OPENED, message);
			CHECK(expected, OPEN, message);
		}
		snprintf(message, sizeof(message), "<open%s to='%0*d'/>", NS,
			 (int)(FRAMING_ATTRIBUTE_MAX + more), 0);
		snprintf(expected, sizeof(expected), "open %0*d - - -\n", FRAMING_ATTRIBUTE_MAX, 0);
		CHECK(more ? "bad policy-violation\n" : expected, message);
	}
}

/* Feeds one message in two pieces. Returns the fault, or -1 if there is none. */
static int feed_of_size(struct framing *framing, size_t n)
{
	char message[N_ELEMENT_MAX + 1];
	struct framing_event event;

	memset(message, ' ', n);
	assert_int_equal(framing_feed(framing, message, n / 2, false, true), 0);
	assert_int_equal(framing_feed(framing, message, n - n / 2, true, true), 0);
	framing_next(framing, &event);
	return event.kind == FRAMING_EVENT_BAD ? (int)event.fault : -1;
}

/* White space counts, too, and the limit may change between two messages. */
static void test_message_limit(void **state)
{
	static const struct {
		size_t n_max, n;
		int expected;
	} rows[] = {
		{N_ELEMENT_MAX, N_ELEMENT_MAX, -1},
		{100, 100, -1},
		{100, 99, -1},
		{N_ELEMENT_MAX, N_ELEMENT_MAX, -1},
		{100, 101, FRAMING_FAULT_SIZE},
	};
	struct framing framing;

	(void)state;
	framing_init(&framing, pool, &options);
	assert_int_equal(framing.n_message_max, N_ELEMENT_MAX);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		framing.n_message_max = rows[i].n_max;
		assert_int_equal(feed_of_size(&framing, rows[i].n), rows[i].expected);
	}
	framing_deinit(&framing);
	framing_init(&framing, pool, &options);
	assert_int_equal(feed_of_size(&framing, N_ELEMENT_MAX + 1), FRAMING_FAULT_SIZE);
	framing_deinit(&framing);
}

static void check_written(struct buffer *buffer, int r, const char *expected)
{
	assert_int_equal(r, 0);
	if (!sv_eq(buffer_sv(buffer), sv_from(expected))) {
		fail_msg("got '%.*s', expected '%s'", SV_ARGS(buffer_sv(buffer)), expected);
	}
	buffer_deinit(buffer);
}

static void test_write(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	check_written(&buffer, framing_write_open(&buffer, "a'b", "<1>", "de"),
		      "<open" NS " version='1.0' from='a&apos;b' id='&lt;1&gt;' xml:lang='de'/>");
	check_written(&buffer, framing_write_open(&buffer, NULL, "", NULL),
		      "<open" NS " version='1.0'/>");
	check_written(&buffer, framing_write_close(&buffer, NULL), "<close" NS "/>");
	check_written(&buffer, framing_write_close(&buffer, "wss://a/?b&c'"),
		      "<close" NS " see-other-uri='wss://a/?b&amp;c&apos;'/>");
#define ERROR "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>"
#define STREAMS " xmlns='urn:ietf:params:xml:ns:xmpp-streams'"
	check_written(&buffer, framing_write_error(&buffer, "bad-format", NULL, NULL),
		      ERROR "<bad-format" STREAMS "/></stream:error>");
	check_written(&buffer, framing_write_error(&buffer, "x", "why", "<&>"),
		      ERROR "<x" STREAMS "/><text" STREAMS
			    " xml:lang='en'>why: &lt;&amp;&gt;</text></stream:error>");
	check_written(&buffer, framing_write_error(&buffer, "x", "why", ""),
		      ERROR "<x" STREAMS "/><text" STREAMS
			    " xml:lang='en'>why</text></stream:error>");
}

static int scenario(void *userdata)
{
	static const char *const messages[] = {
		"<open" NS " to='a' from='b' xml:lang='c' version='1.0'/>",
		"<message xmlns='jabber:client'><body>x</body></message>", OPEN, "<a></b>"};
	struct xml_pool *own_pool;
	struct framing framing;
	struct framing_event event;
	struct buffer out = BUFFER_INIT;
	size_t n_events = 0;
	int r = xml_pool_new(namespaces, NS_COUNT, &own_pool);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	framing_init(&framing, own_pool, &options);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(messages); i++) {
		for (struct sv rest = sv_from(messages[i]); r == 0 && rest.n;
		     rest = sv_skip(rest, 7)) {
			r = framing_feed(&framing, rest.data, rest.n < 7 ? rest.n : 7, rest.n <= 7,
					 true);
		}
		framing_next(&framing, &event);
		n_events += event.kind != FRAMING_EVENT_NONE;
	}
	if (r == 0 && n_events != ARRAY_LENGTH(messages)) {
		r = 1;
	}
	if (r == 0) {
		r = framing_write_open(&out, "a", "b", "c");
	}
	if (r == 0) {
		r = framing_write_error(&out, "a", "b", "c");
	}
	if (r == 0) {
		r = framing_write_close(&out, "d");
	}
	buffer_deinit(&out);
	framing_deinit(&framing);
	xml_pool_free(own_pool);
	return r;
}

static void test_without_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 20);
}

static void feed_message(struct framing *framing, struct pieces *pieces, struct buffer *log)
{
	struct sv piece;

	while (pieces_next(pieces, &piece)) {
		assert_int_equal(
			framing_feed(framing, piece.data, piece.n, pieces->rest.n == 0, true), 0);
		drain(framing, log);
	}
	pieces_end(pieces);
}

/* The text as the first message, and between two others. */
static void run_messages(struct xml_pool *over, struct pieces *pieces, struct buffer *log)
{
	struct pieces again = *pieces, before = {.rest = SV(OPEN)},
		      behind = {.rest = SV("<a xmlns='b'/>")};
	struct framing framing;

	framing_init(&framing, over, &options);
	feed_message(&framing, pieces, log);
	framing_deinit(&framing);
	framing_init(&framing, over, &options);
	feed_message(&framing, &before, log);
	feed_message(&framing, &again, log);
	feed_message(&framing, &behind, log);
	framing_deinit(&framing);
}

static void test_isolation(void **state)
{
	const struct isolation isolation = {
		.namespaces = namespaces, .n_namespaces = NS_COUNT, .run = run_messages};

	(void)state;
	isolation_check(&isolation);
}

static void test_held(void **state)
{
	static const char begin[] = "<message xmlns='jabber:client'><body>";
	static const char end[] = "</body></message>";
	char text[2000];
	struct framing_event event;
	struct framing framing;

	(void)state;
	memset(text, 'x', sizeof(text));
	framing_init(&framing, pool, &options);
	assert_int_equal(framing_feed(&framing, OPEN, strlen(OPEN), true, true), 0);
	framing_next(&framing, &event);
	framing_next(&framing, &event);
	assert_int_equal(framing_held(&framing), 0);
	assert_int_equal(framing_feed(&framing, begin, strlen(begin), false, true), 0);
	assert_int_equal(framing_feed(&framing, text, sizeof(text), false, true), 0);
	framing_next(&framing, &event);
	assert_true(framing_held(&framing) > sizeof(text));
	/* The element is complete, and the message is not. */
	assert_int_equal(framing_feed(&framing, end, strlen(end), false, true), 0);
	framing_next(&framing, &event);
	assert_int_equal(event.kind, FRAMING_EVENT_NONE);
	assert_true(framing_held(&framing) > sizeof(text));
	assert_int_equal(framing_feed(&framing, " ", 1, true, true), 0);
	framing_next(&framing, &event);
	assert_int_equal(event.kind, FRAMING_EVENT_ELEMENT);
	framing_next(&framing, &event);
	assert_int_equal(framing_held(&framing), 0);
	framing_deinit(&framing);
	assert_int_equal(framing_held(&framing), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_limit), cmocka_unit_test(test_open),
		cmocka_unit_test(test_elements),      cmocka_unit_test(test_close),
		cmocka_unit_test(test_bad),           cmocka_unit_test(test_binary),
		cmocka_unit_test(test_reason),        cmocka_unit_test(test_told_at_the_end),
		cmocka_unit_test(test_limits),        cmocka_unit_test(test_held),
		cmocka_unit_test(test_write),         cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_isolation),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
