/* SPDX-License-Identifier: MIT */
/* The end of one of several streams in a BOSH session. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/streams-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stream_closed),
		TEST(test_stream_several_closed),
		TEST(test_stream_several_places_taken),
		TEST(test_stream_closed_with_pending),
		TEST(test_stream_shut),
		TEST(test_stream_all_closed),
		TEST(test_stream_failed),
		TEST(test_stream_both_failed),
		TEST(test_stream_failed_at_once),
		TEST(test_stream_terminated_when_failed),
		TEST(test_stream_abandoned),
		TEST(test_stream_last_failed_with_pending),
		TEST(test_stream_closed_and_congested),
		TEST(test_stream_place_not_taken_at_once),
		TEST(test_stream_place_taken_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
