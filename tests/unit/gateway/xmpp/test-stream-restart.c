/* SPDX-License-Identifier: MIT */
/*
 * A client that wants its stream restarted: behind <success/> a header goes out, before it the
 * client is told again what it knows. Phases of a script are what the server sends; the phase
 * RESTART is the client's wish.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/xmpp/stream-case.h"

#define RESTART "restart"
#define OFFER SERVER "<stream:features>" SASL "</stream:features>"
#define OFFERED "features 1 <stream:features" DECLARED ">" SASL "</stream:features>\n"
#define NOTHING "features 1 <stream:features" DECLARED "/>\n"
#define SENT "> " OPEN_SECURE "\n"
#define SUCCESS2 "<success xmlns='urn:xmpp:sasl:2'/>"
#define FAILURE "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
#define CHALLENGE "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
#define BIND "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
#define BINDABLE "<stream:features>" BIND "</stream:features>"
#define BINDABLE_TOLD "features 1 <stream:features" DECLARED ">" BIND "</stream:features>\n"
#define IQ "<iq xmlns='jabber:client'/>"

static void tell_all(struct stream *stream, struct buffer *log)
{
	enum stream_event_kind kind;

	for (;;) {
		assert_int_equal(stream_next(stream, &kind), 0);
		if (kind == STREAM_EVENT_NONE) {
			assert_false(stream_repeats(stream));
			return;
		}
		log_event(stream, kind, log);
		assert_false(stream->is_managed);
	}
}

static void run_restarts(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct script *script = userdata;
	struct stream stream;

	stream_init(&stream, pool, &options, script->tls);
	assert_int_equal(stream_open(&stream, &juliet, script->secure), 0);
	buffer_consume(&stream.out, stream.out.n);
	for (size_t i = 0; i < N_PHASES_MAX && script->phases[i]; i++) {
		struct pieces phase = *pieces;
		struct sv piece;

		if (strcmp(script->phases[i], RESTART) == 0) {
			assert_int_equal(stream_restart(&stream, &(struct stream_target){0}), 0);
			tell_all(&stream, log);
			log_out(&stream, log);
			continue;
		}
		phase.rest = sv_from(script->phases[i]);
		while (pieces_next(&phase, &piece)) {
			assert_int_equal(stream_feed(&stream, piece.data, piece.n), 0);
			tell_all(&stream, log);
		}
		pieces_end(&phase);
	}
	stream_deinit(&stream);
}

static void check_restarts(struct script script, const char *expected)
{
	script.tls = OFF;
	pieces_check(SV(""), run_restarts, &script, expected);
}

#define CHECK(expected, ...) check_restarts((struct script){.phases = {__VA_ARGS__}}, expected)

static void test_too_early(void **state)
{
	(void)state;
	/* The same once more, and nothing to the server. */
	CHECK(HEADER OFFERED HEADER OFFERED, OFFER, RESTART);
	CHECK(HEADER OFFERED HEADER OFFERED HEADER OFFERED, OFFER, RESTART, RESTART);
	/* What the login has come to so far does not matter, unless it is a success. */
	CHECK(HEADER OFFERED "element 0 " CHALLENGE "\n" HEADER OFFERED, OFFER, CHALLENGE, RESTART);
	CHECK(HEADER OFFERED "element 0 " FAILURE "\n" HEADER OFFERED, OFFER, FAILURE, RESTART);
	CHECK(HEADER OFFERED "element 0 <success xmlns='urn:x'/>\n" HEADER OFFERED, OFFER,
	      "<success xmlns='urn:x'/>", RESTART);
	CHECK(HEADER OFFERED
	      "element 0 <successful xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\n" HEADER OFFERED,
	      OFFER, "<successful xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", RESTART);
	/* Nor does a registration before it. */
	CHECK(HEADER OFFERED "element 0 " IQ "\n" HEADER OFFERED, OFFER, IQ, RESTART);
	/* The newest features count. */
	CHECK(HEADER OFFERED BINDABLE_TOLD HEADER BINDABLE_TOLD, OFFER, BINDABLE, RESTART);
}

/* What was not for the client the first time is not the second. */
static void test_completed(void **state)
{
	(void)state;
	CHECK("header - - -\nfeatures 1 <stream:features" DECLARED
	      " xmlns:x='http://etherx.jabber.org/streams'>" SASL
	      "</stream:features>\nheader - - -\nfeatures 1 <stream:features" DECLARED
	      " xmlns:x='http://etherx.jabber.org/streams'>" SASL "</stream:features>\n",
	      ODD(""), "<x:features>" SASL COMPRESSION STARTTLS "</x:features>", RESTART);
}

static void test_login(void **state)
{
	(void)state;
	CHECK(HEADER OFFERED "element 0 " SUCCESS "\n" SENT, OFFER, SUCCESS, RESTART);
	/* The server has not answered yet: it will. */
	CHECK(HEADER OFFERED "element 0 " SUCCESS "\n" SENT, OFFER, SUCCESS, RESTART, RESTART);
	/* The success was for one restart. */
	CHECK(HEADER OFFERED "element 0 " SUCCESS
			     "\n" SENT HEADER BINDABLE_TOLD HEADER BINDABLE_TOLD,
	      OFFER, SUCCESS, RESTART, SERVER BINDABLE, RESTART);
	/* When the client has gone on, there is nothing left to negotiate. */
	CHECK(HEADER OFFERED "element 0 " SUCCESS "\n" SENT HEADER BINDABLE_TOLD "element 0 " IQ
			     "\n" HEADER NOTHING,
	      OFFER, SUCCESS, RESTART, SERVER BINDABLE IQ, RESTART);
	/* Some servers want a second login. */
	CHECK(HEADER OFFERED "element 0 " SUCCESS "\n" SENT HEADER OFFERED "element 0 " SUCCESS
			     "\n" SENT,
	      OFFER, SUCCESS, RESTART, OFFER, SUCCESS, RESTART);
}

/* XEP-0388: the features follow without a restart. */
static void test_sasl2(void **state)
{
	(void)state;
	CHECK(HEADER OFFERED "element 0 " SUCCESS2 "\n" HEADER BINDABLE_TOLD, OFFER, SUCCESS2,
	      RESTART, BINDABLE);
	CHECK(HEADER OFFERED "element 0 " SUCCESS2 "\n" BINDABLE_TOLD HEADER BINDABLE_TOLD, OFFER,
	      SUCCESS2, BINDABLE, RESTART);
	CHECK(HEADER OFFERED "element 0 " SUCCESS2 "\n" BINDABLE_TOLD "element 0 " IQ
			     "\n" HEADER NOTHING,
	      OFFER, SUCCESS2, BINDABLE, IQ, RESTART);
}

static void test_other_states(void **state)
{
	(void)state;
	/* The server has not answered, or is over. */
	CHECK("", RESTART);
	CHECK(HEADER, SERVER, RESTART);
	CHECK(HEADER OFFERED, SERVER, RESTART, "<stream:features>" SASL "</stream:features>");
	CHECK(HEADER OFFERED "closed stream-closed\n", OFFER, "</stream:stream>", RESTART);
	CHECK(HEADER OFFERED "failed stream-malformed: not well-formed\n", OFFER, "x", RESTART);
	/* RFC 6120, 4.7.5: a server without features. */
	CHECK("header - - -\nheader - - -\n", "<stream:stream xmlns='jabber:client'" DECLARED ">",
	      RESTART);
}

/* A repetition goes before what the server has sent meanwhile; none after our farewell. */
static void test_order(void **state)
{
	static const enum stream_event_kind expected[] = {STREAM_EVENT_HEADER,
							  STREAM_EVENT_FEATURES,
							  STREAM_EVENT_ELEMENT, STREAM_EVENT_NONE};
	struct buffer log = BUFFER_INIT;
	struct stream stream;
	enum stream_event_kind kind;

	(void)state;
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	assert_int_equal(stream_feed(&stream, OFFER, strlen(OFFER)), 0);
	tell_all(&stream, &log);
	buffer_consume(&stream.out, stream.out.n);
	assert_int_equal(stream_restart(&stream, &(struct stream_target){0}), 0);
	assert_true(stream_repeats(&stream));
	assert_int_equal(stream_feed(&stream, IQ, strlen(IQ)), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
		assert_int_equal(stream_next(&stream, &kind), 0);
		assert_int_equal(kind, expected[i]);
		assert_int_equal(stream_event_is_repeated(&stream), i < 2);
	}
	assert_int_equal(stream_close(&stream), 0);
	buffer_consume(&stream.out, stream.out.n);
	assert_int_equal(stream_restart(&stream, &(struct stream_target){0}), 0);
	assert_false(stream_repeats(&stream));
	assert_int_equal(stream.out.n, 0);
	buffer_deinit(&log);
	stream_deinit(&stream);
}

/* Features of @n bytes, as they are told the second time. */
static size_t n_repeated(size_t n)
{
	static const char begin[] = "<stream:features" DECLARED ">";
	static const char end[] = "</stream:features>";
	struct xml_scan_options large = stream_options(2 * STREAM_FEATURES_MAX);
	struct buffer text = BUFFER_INIT;
	struct buffer told = BUFFER_INIT;
	struct stream stream;
	enum stream_event_kind kind;

	LOG(&text, "%s%s%0*d%s", SERVER, begin, (int)(n - strlen(begin) - strlen(end)), 0, end);
	stream_init(&stream, pool, &large, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	assert_int_equal(stream_feed(&stream, buffer_sv(&text).data, text.n), 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
	} while (kind != STREAM_EVENT_NONE);
	assert_int_equal(stream_restart(&stream, &(struct stream_target){0}), 0);
	do {
		assert_int_equal(stream_next(&stream, &kind), 0);
	} while (kind != STREAM_EVENT_FEATURES);
	assert_int_equal(stream_event_write(&stream, &told), 0);
	n = told.n;
	buffer_deinit(&told);
	buffer_deinit(&text);
	stream_deinit(&stream);
	return n;
}

static void test_limit(void **state)
{
	(void)state;
	assert_int_equal(n_repeated(STREAM_FEATURES_MAX), STREAM_FEATURES_MAX);
	assert_int_equal(n_repeated(STREAM_FEATURES_MAX + 1),
			 strlen("<stream:features" DECLARED "/>"));
}

/* A repetition needs nothing of the server's: what it has sent in part waits for the rest. */
static void test_amid_element(void **state)
{
	static const char parts[][500] = {OFFER "<message><body>the f", "irst</body></message>"};
	struct buffer log = BUFFER_INIT;
	struct stream stream;

	(void)state;
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(stream_feed(&stream, parts[i], strlen(parts[i])), 0);
		tell_all(&stream, &log);
		assert_int_equal(stream_restart(&stream, &(struct stream_target){0}), 0);
		tell_all(&stream, &log);
		tell_all(&stream, &log);
	}
	assert_true(sv_find_sv(buffer_sv(&log), SV("<body>the first</body>")) < log.n);
	buffer_deinit(&log);
	stream_deinit(&stream);
}

/* Who has logged in and goes on holds no memory for it. */
static void test_memory(void **state)
{
	struct buffer log = BUFFER_INIT;
	struct stream stream;

	(void)state;
	stream_init(&stream, pool, &options, OFF);
	assert_int_equal(stream_open(&stream, &juliet, false), 0);
	assert_int_equal(stream_feed(&stream, OFFER SUCCESS, strlen(OFFER SUCCESS)), 0);
	tell_all(&stream, &log);
	assert_null(stream.features.data);
	assert_int_equal(stream_restart(&stream, &(struct stream_target){0}), 0);
	assert_int_equal(stream_feed(&stream, SERVER BINDABLE, strlen(SERVER BINDABLE)), 0);
	tell_all(&stream, &log);
	assert_non_null(stream.features.data);
	assert_int_equal(stream_feed(&stream, IQ, strlen(IQ)), 0);
	tell_all(&stream, &log);
	assert_null(stream.features.data);
	buffer_deinit(&log);
	stream_deinit(&stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_early),    cmocka_unit_test(test_completed),
		cmocka_unit_test(test_login),        cmocka_unit_test(test_sasl2),
		cmocka_unit_test(test_other_states), cmocka_unit_test(test_order),
		cmocka_unit_test(test_limit),        cmocka_unit_test(test_memory),
		cmocka_unit_test(test_amid_element),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
