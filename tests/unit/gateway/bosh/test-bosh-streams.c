/* SPDX-License-Identifier: MIT */
/* Several streams in one BOSH session. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/streams-case.h"

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

/* A name that no stream has, also when none has been closed. */
static void test_stream_nameless(void **state)
{
	(void)state;
	begin_two();
	request_with(102, " stream=''", "<x/>");
	EXPECT("3: " BROKE(STREAM_UNKNOWN) "\nclose 0\nclose 1\n" END(STREAM_UNKNOWN));
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
		TEST(test_stream_over_restart),  TEST(test_stream_offered),
		TEST(test_stream_alone),         TEST(test_stream_added),
		TEST(test_stream_limit),         TEST(test_stream_payloads_up),
		TEST(test_stream_payloads_down), TEST(test_stream_nameless),
		TEST(test_stream_opening),       TEST(test_stream_all_opening),
		TEST(test_stream_backpressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
