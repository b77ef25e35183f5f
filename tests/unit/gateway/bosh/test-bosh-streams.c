/* SPDX-License-Identifier: MIT */
/* Several streams in one BOSH session. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

static char names[4][40];

/* Replaces the names of streams in the log by S0, S1 ...: in the order in which they came. */
static void shorten(void)
{
	static const char mark[] = " stream='";
	struct buffer out = BUFFER_INIT;
	const char *text = one.log.data ? one.log.data + one.log.offset : "";
	size_t n = one.log.n;

	for (size_t i = 0; i < n;) {
		if (n - i > sizeof(mark) + 32 && memcmp(text + i, mark, sizeof(mark) - 1) == 0) {
			unsigned which = 0;

			i += sizeof(mark) - 1;
			while (names[which][0] && memcmp(names[which], text + i, 32) != 0) {
				which++;
			}
			memcpy(names[which], text + i, 32);
			assert_int_equal(buffer_printf(&out, "%sS%u", mark, which), 0);
			i += 32;
		} else {
			assert_int_equal(buffer_append(&out, text + i++, 1), 0);
		}
	}
	buffer_deinit(&one.log);
	one.log = out;
}

#undef EXPECT
#define EXPECT(expected) (shorten(), expect(expected, __LINE__))

static void begin_streams(void)
{
	memset(names, 0, sizeof(names));
	one.limits.n_streams_max = 3;
	create(" ver='1.6' hold='1'");
	server(FEATURES);
	shorten();
	buffer_clear(&one.log);
	assert_true(names[0][0]);
}

/* Attributes that name stream @which. */
static const char *of(unsigned which, const char *more)
{
	static char text[200];

	snprintf(text, sizeof(text), " stream='%s'%s", names[which], more);
	return text;
}

static void server_of(unsigned stream, const char *text)
{
	struct buffer *pending = bosh_session_pending(one.session, stream, false, false);

	assert_int_equal(buffer_append_sv(pending, sv_from(text)), 0);
	done(bosh_session_flush(one.session, one.now, &one.actions));
}

static void fail_of(unsigned stream, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	done(bosh_session_fail(one.session, stream, &failure, one.now, &one.actions));
}

/* Two streams; the next exchange is 3, the next rid 102. */
static void begin_two(void)
{
	begin_streams();
	request_with(101, " to='b.org' xml:lang='en'", "");
	EXPECT("open 1 b.org||en|||\n2: <body " HTTPBIND
	       " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' stream='S1'/>\n");
}

/* The second stream can be used. */
static void open_second(void)
{
	begin_two();
	(void)bosh_session_pending(one.session, 1, false, true);
}

/* A restart for a stream whose link is over, of which the client does not know yet, goes nowhere:
 * not to another stream either, which may be bound already. Nor is such a stream read or not. */
static void test_stream_over_restart(void **state)
{
	static char long_text[N_PENDING_MAX + 20];

	(void)state;
	open_second();
	memset(long_text, ' ', sizeof(long_text) - 1);
	memcpy(long_text, "<a/>", 4);
	fail_of(0, FAILURE_CONNECTION_LOST);
	shorten();
	buffer_clear(&one.log);
	server_of(1, long_text);
	EXPECT("pause 1\n");
	request_with(102, of(0, " xmpp:restart='true'"), "");
	shorten();
	assert_null(memmem(one.log.data, one.log.n, "restart ", 8));
}

static void test_stream_offered(void **state)
{
	static const struct {
		unsigned n_max;
		const char *attributes;
		bool offered;
	} rows[] = {{2, " ver='1.6'", true}, {1, " ver='1.6'", false}, {2, "", false}};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		one.limits.n_streams_max = rows[i].n_max;
		create(rows[i].attributes);
		server(FEATURES);
		assert_int_equal(memmem(one.log.data, one.log.n, " stream='", 9) != NULL,
				 rows[i].offered);
		buffer_clear(&one.log);
		/* Where streams are not offered, such a request is an empty one. */
		request_with(101, " to='b.org'", "");
		assert_int_equal(one.log.n > 0, rows[i].offered);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

/* As long as there is one stream the attribute is not sent, and is ignored. */
static void test_stream_alone(void **state)
{
	(void)state;
	begin_streams();
	request_with(101, of(0, ""), "<a/>");
	request_with(102, " stream='whatever'", "<b/>");
	EXPECT("send 0 <a/>\nsend 0 <b/>\n2: " EMPTY "\n");
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
}

static void test_stream_added(void **state)
{
	(void)state;
	begin_two();
	assert_string_not_equal(names[0], names[1]);
	assert_int_equal(bosh_session_header(one.session, 1, "id", "b.org"), 0);
	server_of(1, "<features/>");
	request(102);
	EXPECT("3: <body " HTTPBIND " stream='S1' from='b.org' authid='id'><features/></body>\n");
	/* Held requests are answered first: only the answer to the request itself has the name. */
	request(103);
	at_ms(5000);
	request_with(104, " to='c.org' from='me@c.org' route='xmpp:c.org:1' xmpp:version='1.0'",
		     "");
	EXPECT("open 2 c.org|me@c.org||1.0|xmpp:c.org:1|\n4: " EMPTY "\n5: <body " HTTPBIND
	       " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' stream='S2'/>\n");
	/* A repeat gets the same answer. */
	request_with(104, " to='c.org' from='me@c.org' route='xmpp:c.org:1' xmpp:version='1.0'",
		     "");
	EXPECT("6: <body " HTTPBIND
	       " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' stream='S2'/>\n");
}

static void test_stream_limit(void **state)
{
	(void)state;
	begin_two();
	request_with(102, " to='c.org'", "");
	buffer_clear(&one.log);
	request_with(103, " to='d.org'", "");
	shorten();
	assert_non_null(memmem(one.log.data, one.log.n,
			       "type='terminate' condition='policy-violation' stream=", 53));
	buffer_clear(&one.log);
	/* The session goes on, and when a stream is closed another can be opened. */
	request_with(104, of(1, " type='terminate'"), "");
	buffer_clear(&one.log);
	request_with(105, " to='e.org'", "");
	shorten();
	assert_non_null(memmem(one.log.data, one.log.n, "open 1 e.org|", 13));
}

static void test_stream_payloads_up(void **state)
{
	(void)state;
	open_second();
	request_with(102, of(1, ""), "<a/>");
	request_with(103, of(0, ""), "<b/>");
	EXPECT("send 1 <a/>\nsend 0 <b/>\n3: " EMPTY "\n");
	/* Payloads without a name go to all streams. */
	request_with(104, "", "<c/>");
	EXPECT("send 0 <c/>\nsend 1 <c/>\n4: " EMPTY "\n");
	request_with(105, " xmpp:restart='true'", "");
	/* A restart without a name is for the first: the others may be bound already. */
	EXPECT("restart 0 |||||\n5: " EMPTY "\n");
	request_with(106, of(1, " xmpp:restart='true'"), "");
	EXPECT("restart 1 |||||\n6: " EMPTY "\n");
	/* On an empty body it says nothing. */
	at_ms(3000);
	request_with(107, " stream='whatever'", "");
	EXPECT("7: " EMPTY "\n");
	request_with(108, " stream='whatever'", "<x/>");
	EXPECT("9: " BROKE(STREAM_UNKNOWN) "\n8: " OTHER(STREAM_UNKNOWN) "\nclose 0\nclose 1\n" END(
		STREAM_UNKNOWN));
}

/* One answer never carries two streams. They take turns. */
static void test_stream_payloads_down(void **state)
{
	(void)state;
	open_second();
	server_of(0, "<a/>");
	server_of(1, "<b/>");
	server_of(0, "<c/>");
	request(102);
	EXPECT("3: <body " HTTPBIND " stream='S0'><a/><c/></body>\n");
	server_of(0, "<d/>");
	request(103);
	EXPECT("4: <body " HTTPBIND " stream='S1'><b/></body>\n");
	request(104);
	EXPECT("5: <body " HTTPBIND " stream='S0'><d/></body>\n");
}

static void test_stream_closed(void **state)
{
	(void)state;
	open_second();
	request(102);
	server_of(1, "");
	request_with(103, of(1, " type='terminate'"), "<presence/>");
	EXPECT("send 1 <presence/>\nclose 1\n3: <body " HTTPBIND
	       " type='terminate' stream='S1'/>\n");
	/* The client may not have known yet: what it sends is ignored. */
	request_with(104, of(1, ""), "<x/>");
	EXPECT("4: " EMPTY "\n");
	/* The other goes on, and is named because there was more than one. */
	server_of(0, "<a/>");
	EXPECT("5: <body " HTTPBIND " stream='S0'><a/></body>\n");
	/* With the last one the session ends. */
	request_with(105, of(0, " type='terminate'"), "<presence/>");
	EXPECT("send 0 <presence/>\nclose 0\n6: " GOODBYE "\nend\n");
}

/* Several may have been closed since the client sent a request, and their places taken. */
static void test_stream_several_closed(void **state)
{
	(void)state;
	open_second();
	request_with(102, " to='c.org'", "");
	fail_of(1, FAILURE_CONNECTION_LOST);
	fail_of(2, FAILURE_CONNECTION_LOST);
	request(103);
	request(104);
	shorten();
	buffer_clear(&one.log);
	request_with(105, of(1, ""), "<x/>");
	request_with(106, of(2, " type='terminate'"), "<x/>");
	EXPECT("6: " EMPTY "\n");
	request_with(107, " to='d.org'", "");
	shorten();
	buffer_clear(&one.log);
	request_with(108, of(1, ""), "<x/>");
	request_with(109, of(2, ""), "<x/>");
	EXPECT("9: " EMPTY "\n");
	request_with(110, " stream='S9'", "<x/>");
	EXPECT("11: " BROKE(STREAM_UNKNOWN) "\n10: " OTHER(
		STREAM_UNKNOWN) "\nclose 0\nclose 1\n" END(STREAM_UNKNOWN));
}

/* Places of several streams that were closed may have been taken before the client learns of it. */
static void test_stream_several_places_taken(void **state)
{
	(void)state;
	one.limits.hold = 3;
	one.limits.n_streams_max = 3;
	memset(names, 0, sizeof(names));
	create(" ver='1.6' hold='3'");
	server(FEATURES);
	request_with(101, " to='b.org'", "");
	request_with(102, " to='c.org'", "");
	shorten();
	buffer_clear(&one.log);
	fail_of(2, FAILURE_CONNECTION_LOST);
	request(103);
	fail_of(1, FAILURE_CONNECTION_LOST);
	request(104);
	/* The client has not got the answer to 104 when it sends these. */
	request_with(105, " to='d.org'", "");
	request_with(106, " to='e.org'", "");
	buffer_clear(&one.log);
	request_with(107, of(1, ""), "<x/>");
	request_with(108, of(1, " type='terminate'"), "<x/>");
	EXPECT("");
	assert_false(one.ended);
}

/* A name that no stream has, also when none has been closed. */
static void test_stream_nameless(void **state)
{
	(void)state;
	begin_two();
	request_with(102, " stream=''", "<x/>");
	EXPECT("3: " BROKE(STREAM_UNKNOWN) "\nclose 0\nclose 1\n" END(STREAM_UNKNOWN));
}

/* What is pending of a stream that is closed is returned. */
static void test_stream_closed_with_pending(void **state)
{
	(void)state;
	open_second();
	server_of(1, "<a/>");
	request_with(102, of(1, " type='terminate'"), "");
	EXPECT("bounce 1 <a/>\nclose 1\n3: <body " HTTPBIND " type='terminate' stream='S1'/>\n");
}

/* What several streams have to tell does not fit into the last answer. */
static void test_stream_shut(void **state)
{
	struct failure failure;

	(void)state;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	open_second();
	request_with(102, "", "");
	assert_int_equal(
		buffer_append_sv(bosh_session_pending(one.session, 0, false, false), SV("<a/>")),
		0);
	buffer_clear(&one.log);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	assert_non_null(memmem(one.log.data, one.log.n, "bounce 0 <a/>", 13));
}

static void test_stream_all_closed(void **state)
{
	(void)state;
	open_second();
	server_of(1, "<a/>");
	request_with(102, " type='terminate'", "<presence/>");
	EXPECT("send 0 <presence/>\nsend 1 <presence/>\nclose 0\nbounce 1 <a/>\nclose "
	       "1\n3: " GOODBYE "\nend\n");
}

#define FAILED_TEXT                                                                       \
	"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>the connection to the server " \
	"broke</text>"

static void test_stream_failed(void **state)
{
	(void)state;
	open_second();
	server_of(1, "<a/>");
	fail_of(1, FAILURE_CONNECTION_LOST);
	EXPECT("");
	request(102);
	EXPECT("3: <body " HTTPBIND
	       " type='terminate' condition='remote-connection-failed' stream='S1'><a/>" FAILED_TEXT
	       "</body>\n");
	/* With the last one the session ends. */
	request(103);
	fail_of(0, FAILURE_CONNECTION_LOST);
	EXPECT("4: <body " HTTPBIND
	       " type='terminate' condition='remote-connection-failed'>" FAILED_TEXT
	       "</body>\nend\n");
}

/* Both streams fail before any request could be answered. */
static void test_stream_both_failed(void **state)
{
	(void)state;
	open_second();
	fail_of(0, FAILURE_CONNECTION_LOST);
	fail_of(1, FAILURE_CONNECTION_LOST);
	request(102);
	at_ms(5000);
	EXPECT("3: <body " HTTPBIND
	       " type='terminate' condition='remote-connection-failed' stream='S0'>" FAILED_TEXT
	       "</body>\n");
	request(103);
	EXPECT("4: <body " HTTPBIND
	       " type='terminate' condition='remote-connection-failed'>" FAILED_TEXT
	       "</body>\nend\n");
}

static void test_stream_abandoned(void **state)
{
	(void)state;
	open_second();
	server_of(0, "<a/>");
	server_of(1, "<b/>");
	bosh_session_set_managed(one.session, 1);
	at_ms(30000);
	EXPECT("bounce 0 <a/>\nclose 0\n" END(INACTIVITY));
}

/* A stream is not open before its features: payloads for all streams do not go to it. */
static void test_stream_opening(void **state)
{
	(void)state;
	begin_two();
	request_with(102, "", "<c/>");
	EXPECT("send 0 <c/>\n");
	(void)bosh_session_pending(one.session, 1, false, true);
	request_with(103, "", "<c/>");
	EXPECT("send 0 <c/>\nsend 1 <c/>\n3: " EMPTY "\n");
}

/* Unless none is open: then they wait for all that are opening. */
static void test_stream_all_opening(void **state)
{
	(void)state;
	begin_two();
	request_with(102, " to='c.org'", "");
	request_with(103, of(0, " type='terminate'"), "");
	request_with(104, "", "<c/>");
	shorten();
	assert_null(memmem(one.log.data, one.log.n, "send ", 5));
	buffer_clear(&one.log);
	for (unsigned i = 1; i < 3; i++) {
		(void)bosh_session_pending(one.session, i, false, true);
		done(bosh_session_flush(one.session, one.now, &one.actions));
	}
	EXPECT("send 1 <c/>\nsend 2 <c/>\n");
}

/* With the last stream the session ends. What is pending of it is delivered under its name. */
static void test_stream_last_failed_with_pending(void **state)
{
	(void)state;
	open_second();
	request_with(102, of(0, " type='terminate'"), "");
	buffer_clear(&one.log);
	server_of(1, "<m/>");
	fail_of(1, FAILURE_CONNECTION_LOST);
	EXPECT("");
	request(103);
	EXPECT("4: <body " HTTPBIND " stream='S1'><m/></body>\n");
	request(104);
	EXPECT("5: <body " HTTPBIND
	       " type='terminate' condition='remote-connection-failed'>" FAILED_TEXT
	       "</body>\nend\n");
}

/* A closed stream does not count as congested, even when its server stops reading just then. */
static void test_stream_closed_and_congested(void **state)
{
	(void)state;
	open_second();
	request_with(102, of(1, " type='terminate'"), "<a/>");
	done(bosh_session_congest(one.session, 1, BOSH_CONGESTION_SOME, one.now, &one.actions));
	buffer_clear(&one.log);
	request(103);
	at_ms(3000);
	request_with(104, of(0, ""), "<b/>");
	EXPECT("send 0 <b/>\n4: " EMPTY "\n");
}

/* The number of a stream that is removed during a call is not reused during that call: actions that
 * are queued already still refer to the old stream. */
static void test_stream_place_not_taken_at_once(void **state)
{
	(void)state;
	open_second();
	request_with(103, " to='c.org'", "");
	request_with(102, of(1, " type='terminate'"), "");
	shorten();
	assert_non_null(memmem(one.log.data, one.log.n, "close 1\n", 8));
	assert_non_null(memmem(one.log.data, one.log.n, "open 2 c.org|", 13));
}

/* A new stream is not returned what was delivered for the former stream of that number. */
static void test_stream_place_taken_later(void **state)
{
	(void)state;
	one.limits.n_streams_max = 2;
	memset(names, 0, sizeof(names));
	create(" ver='1.6' hold='1' ack='1'");
	server(FEATURES);
	request_with(101, " to='b.org'", "");
	shorten();
	buffer_clear(&one.log);
	(void)bosh_session_pending(one.session, 1, false, true);
	request_with(102, "", "<x/>");
	server_of(1, "<m/>");
	request_with(103, of(1, " type='terminate' ack='101'"), "");
	request_with(104, " to='c.org' ack='101'", "");
	shorten();
	assert_non_null(memmem(one.log.data, one.log.n, "open 1 c.org|", 13));
	buffer_clear(&one.log);
	at_ms(30000);
	assert_null(memmem(one.log.data, one.log.n, "<m/>", 4));
	assert_non_null(memmem(one.log.data, one.log.n, "close 1\nend ", 12));
}

/* "Error Conditions": with a name it would be the end of the stream only, not of the session. */
static void test_stream_failed_at_once(void **state)
{
	(void)state;
	one.limits.n_streams_max = 3;
	create(" ver='1.6' hold='1'");
	fail_of(0, FAILURE_CONNECTION_LOST);
	assert_true(one.ended);
	assert_non_null(memmem(one.log.data, one.log.n, " type='terminate'", 17));
	assert_null(memmem(one.log.data, one.log.n, " stream='", 9));
}

/* What the last server had sent does not fit into the answer that says goodbye. */
static void test_stream_terminated_when_failed(void **state)
{
	(void)state;
	open_second();
	fail_of(0, FAILURE_CONNECTION_LOST);
	request(102);
	server_of(1, "<a/>");
	fail_of(1, FAILURE_CONNECTION_LOST);
	buffer_clear(&one.log);
	request_with(103, " type='terminate'", "<presence/>");
	EXPECT("4: " GOODBYE "\nend\n");
}

/* All servers are throttled when too much is pending, that of a new stream, too. */
static void test_stream_backpressure(void **state)
{
	char text[N_PENDING_MAX + 2];

	(void)state;
	begin_two();
	memset(text, 'x', sizeof(text));
	text[N_PENDING_MAX] = '\0';
	server_of(0, text);
	EXPECT("");
	server_of(1, "y");
	EXPECT("pause 0\npause 1\n");
	/* The request for a third stream gets its name. The third is throttled at once. */
	request_with(102, " to='c.org'", "");
	assert_non_null(memmem(one.log.data, one.log.n, "pause 2\n", 8));
	buffer_clear(&one.log);
	request(103);
	shorten();
	assert_non_null(memmem(one.log.data, one.log.n, "resume 0\nresume 1\nresume 2\n", 27));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stream_over_restart),
		TEST(test_stream_offered),
		TEST(test_stream_alone),
		TEST(test_stream_added),
		TEST(test_stream_limit),
		TEST(test_stream_payloads_up),
		TEST(test_stream_payloads_down),
		TEST(test_stream_closed),
		TEST(test_stream_several_closed),
		TEST(test_stream_several_places_taken),
		TEST(test_stream_nameless),
		TEST(test_stream_closed_with_pending),
		TEST(test_stream_shut),
		TEST(test_stream_all_closed),
		TEST(test_stream_failed),
		TEST(test_stream_both_failed),
		TEST(test_stream_failed_at_once),
		TEST(test_stream_terminated_when_failed),
		TEST(test_stream_abandoned),
		TEST(test_stream_opening),
		TEST(test_stream_all_opening),
		TEST(test_stream_last_failed_with_pending),
		TEST(test_stream_closed_and_congested),
		TEST(test_stream_place_not_taken_at_once),
		TEST(test_stream_place_taken_later),
		TEST(test_stream_backpressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
