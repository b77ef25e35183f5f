/* SPDX-License-Identifier: MIT */
/*
 * The rules of a BOSH session, by the sections of XEP-0124 (of XEP-0206 where said), and below each
 * rule the tests of it: in this file, in test-bosh-ack.c (a), -ending.c (e), -failure.c (f),
 * -key.c (k), -order.c (o), -pause.c (p), -polling.c (l), -repeat.c (r), -streams.c (s),
 * -stream-ends.c (t), or in the file that is named. test-bosh-memory.c repeats much of it with each
 * allocation failing in turn.
 *
 * Session Creation Request
 *   what the client leaves out the gateway chooses; hold and wait at most as configured
 *       test_negotiation
 *   content: one of a short list, never what the client wrote
 *       test-content.c test_content
 * Session Creation Response
 *   sid, wait, requests, hold, inactivity, polling; ver is the lower one
 *       test_negotiation, test_ver
 *   accept, where compressed requests are accepted; charsets
 *       test_codings, CREATED in bosh-case.h
 *   maxpause, where pauses are allowed
 *       p test_pause_announced
 *   ack, to a client that acknowledges
 *       a test_ack_announced
 *   from, once it is known, in one answer
 *       test_creation
 * XEP-0206, Session Creation Response
 *   the answer waits for the features; with authid, restartlogic, version
 *       test_creation
 *   but not beyond wait: then the next answer has the features
 *       test_creation_timeout
 * Sending and Receiving XML Payloads
 *   an empty answer after wait; up to hold requests wait
 *       test_wait, test_hold, test_hold_of_two, o test_wait_out_of_order
 *   payloads are sent at once, in the order of the rids
 *       test_payloads_down, test_payloads_up
 * Request Acknowledgements
 *   the highest rid without a gap below it; not that of the answered request
 *       a test_ack_of_requests
 * Response Acknowledgements
 *   answers are kept until they are acknowledged, with or without `ack`
 *       a test_ack_of_answers, test_ack_left_out, test_ack_of_the_future, test_kept_limit
 *   a missing answer is reported once, with its age, to a request that can be answered
 *       a test_report, test_report_and_gone
 *   what is not acknowledged counts as not delivered; a held request is answered so that the client
 *   can acknowledge
 *       a test_ack_backpressure, test_ack_wanted, test_ack_and_vanished
 * Inactivity
 *   a session without a request ends, one with a request does not; an early request is a sign of
 *   life
 *       test_inactivity, o test_early_and_inactive
 *   a pause: all requests are answered, it without payloads; it replaces inactivity
 *       p test_pause, test_pause_short
 *   the next request ends it, a repeat of the same does not
 *       p test_pause_ends_with_next, test_pause_repeated
 *   longer than offered, or not offered: policy-violation
 *       p test_pause_limit
 * Overactivity
 *   more requests under way than `requests`; one more to pause or terminate
 *       test_terminate_above, l test_overactivity, p test_pause_above
 *   as many as `requests`, the last two empty, and within `polling` of each other
 *       l test_overactivity_of_polls, test_order_is_no_overactivity
 *   what the client does not wait for any more does not count; a stanza excuses one
 *       test-bosh-activity.c
 * Polling Sessions
 *   wait or hold 0: nothing is held, and inactivity is longer
 *       l test_polling
 *   two empty requests within `polling`, the first answered empty: policy-violation
 *       l test_polling_often
 * Terminating the BOSH Session
 *   payloads go on; "terminate" on the oldest connection, empty bodies on the others
 *       test_terminate, test_terminate_alone, test_terminate_misspelt
 * In-Order Message Forwarding
 *   an early request waits for its predecessor
 *       o test_out_of_order, test_out_of_order_terminate
 *   above the window the session ends
 *       o test_window, test_window_ends_all
 *   rids go up to 2^53 - 1
 *       o test_largest_rid
 * Broken Connections
 *   an answered rid again: the same answer, byte for byte
 *       r test_repeat_answered, test_repeat_creation
 *   a rid whose answer is not kept any more: item-not-found
 *       r test_repeat_forgotten
 *   the answer to a pause is not among the `requests` that are kept
 *       p test_pause_and_kept
 *   a held rid again: the old request is answered with "error"
 *       r test_repeat_held
 *   the same rid too often, held, answered or early: policy-violation
 *       r test_repeat_limit, test_repeat_limit_of_others, test_repeat_limit_of_a_life
 *   the answers that are kept are limited in bytes
 *       r test_repeat_bytes
 *   when the connection broke, the answer waits for a repeat
 *       r test_gone, test_gone_then_next, test_gone_early
 *   but not for ever
 *       r test_gone_for_good, test_gone_wait_is_over
 * Use of Keys
 *   the hash of each key is the key before; a wrong or missing one ends the session
 *       k test_key_sequence, test_key_wrong, test_key_case
 *   a repeat shows the same key again, an early one, too
 *       k test_key_repeated, test_key_repeated_early, test_key_out_of_order
 * Switching to Another Key Sequence
 *   the request with the last key has the next newkey
 *       k test_key_switch, test_key_late
 * Multiple Streams
 *   offered to clients that send ver; with one stream nothing is different
 *       s test_stream_offered, test_stream_alone
 *   `to` adds one; the answer to that request has its name
 *       s test_stream_added, test_stream_limit
 *   an answer has payloads of one stream, with its name; a request is for one stream or for all
 *       s test_stream_payloads_down, _up
 *   all means all that are open; an unknown name ends the session
 *       s test_stream_opening, _nameless
 *   closing one, the last one, all
 *       t test_stream_closed, test_stream_all_closed, test_stream_closed_with_pending
 *   one that fails is reported with its name, the last one ends the session
 *       t test_stream_failed, test_stream_both_failed, test_stream_last_failed_with_pending
 * HTTP Conditions
 *   400, 403, 404 for clients without ver, 200 for all others
 *       f test_legacy, test_refusal_without_session
 * Terminal Binding Conditions
 *   the rule that was broken, in words, to all requests that can be answered (rule.h)
 *       f test_rules, test_refuse
 *   the reason for an end, in one answer
 *       f test_failure, test_failure_with_pending
 *   if no request is held, in the answer to the next
 *       f test_failure_kept, test_failure_kept_for_repeat
 *   see-other-uri has the URI in it
 *       f test_see_other_uri
 *   system-shutdown
 *       e test_shut
 * XEP-0206, remote-stream-error
 *   stanzas, then the server's error, with xmlns:stream
 *       f test_stream_error, test_stream_error_kept
 * XEP-0206, Authentication and Resource Binding
 *   a restart makes a new header, and its payloads are ignored
 *       e test_restart
 * XEP-0206, recipient-unavailable
 *   a client that vanishes: what was not delivered is returned, the stream is closed
 *       e test_bounce, test-bounce.c
 *   unless the server manages the stream (XEP-0198)
 *       e test_managed
 * Not in the XEPs
 *   payloads wait for the features, up to a limit; the same after a restart
 *       test-bosh-waiting.c
 *   so much is kept for an absent client, then the server is not read
 *       e test_backpressure, s test_stream_backpressure
 *   while the server does not read, the client is answered late
 *       e test_congested
 *   lingering for the server's reply, at most until the next request
 *       p test_linger, test_linger_and_next, test_linger_not_for_empty, _polling
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

static void test_creation(void **state)
{
	(void)state;
	create(" ver='1.6' hold='1' wait='60' to='example.org'");
	EXPECT("");
	assert_int_equal(bosh_session_deadline(one.session).ms, 60000);
	assert_int_equal(bosh_session_header(one.session, 0, "i<d'", "example.org"), 0);
	done(bosh_session_flush(one.session, one.now, &one.actions));
	EXPECT("");
	server(FEATURES);
	EXPECT("1: " CREATION " from='example.org' authid='i&lt;d&apos;'>" FEATURES "</body>\n");
	/* All of it stands in one answer only, even after a restart of the stream. */
	request(101);
	assert_int_equal(bosh_session_header(one.session, 0, "id2", "example.org"), 0);
	server(FEATURES);
	EXPECT("2: <body " HTTPBIND " " STREAM ">" FEATURES "</body>\n");
}

static void test_creation_timeout(void **state)
{
	(void)state;
	create(" ver='1.6' hold='1' wait='10' to='example.org'");
	at_ms(9999);
	EXPECT("");
	at_ms(10000);
	EXPECT("1: " CREATED("10", "1", "2", "30") "/>\n");
	request(101);
	assert_int_equal(bosh_session_header(one.session, 0, "id", NULL), 0);
	assert_int_equal(bosh_session_header(one.session, 0, "id2", "example.org"), 0);
	EXPECT("");
	server(FEATURES);
	EXPECT("2: <body " HTTPBIND " " STREAM " from='example.org' authid='id2'>" FEATURES
	       "</body>\n");
}

static void negotiated(const char *attributes, const char *expected, int line)
{
	void *state = NULL;

	create(attributes);
	server(FEATURES);
	expect(expected, line);
	teardown(&state);
	assert_int_equal(setup(&state), 0);
}

static void test_negotiation(void **state)
{
#define NEGOTIATED(attributes, wait, hold, requests, inactivity)                             \
	negotiated(" ver='1.6'" attributes,                                                  \
		   "1: " CREATED(wait, hold, requests, inactivity) ">" FEATURES "</body>\n", \
		   __LINE__)
	(void)state;
	NEGOTIATED("", "60", "1", "2", "30");
	NEGOTIATED(" wait='61' hold='3'", "60", "2", "3", "30");
	NEGOTIATED(" wait='9007199254740991' hold='9007199254740991'", "60", "2", "3", "30");
	NEGOTIATED(" wait='59' hold='2'", "59", "2", "3", "30");
	NEGOTIATED(" wait='1' hold='1'", "1", "1", "2", "30");
}

static void test_ver(void **state)
{
	static const char *const rows[][2] = {
		{" ver='1.6'", " ver='1.6'"},
		{" ver='1.10'", " ver='1.10'"},
		{" ver='1.11'", " ver='1.11'"},
		{" ver='1.12'", " ver='1.11'"},
		{" ver='2.0'", " ver='1.11'"},
		{" ver='0.9'", " ver='0.9'"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char end[140];

		create(rows[i][0]);
		server(FEATURES);
		snprintf(end, sizeof(end), " polling='2' charsets='UTF-8'%s>" FEATURES "</body>\n",
			 rows[i][1]);
		struct sv log = buffer_sv(&one.log);

		assert_true(log.n > strlen(end));
		assert_true(sv_eq(sv_skip(log, log.n - strlen(end)), sv_from(end)));
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void test_wait(void **state)
{
	(void)state;
	begin();
	at_ms(1000);
	request(101);
	assert_int_equal(bosh_session_deadline(one.session).ms, 61000);
	at_ms(60999);
	EXPECT("");
	at_ms(61000);
	EXPECT("2: " EMPTY "\n");
	/* Now inactivity counts. */
	assert_int_equal(bosh_session_deadline(one.session).ms, 91000);
}

static void test_hold(void **state)
{
	(void)state;
	begin();
	request(101);
	EXPECT("");
	at_ms(2000);
	request(102);
	EXPECT("2: " EMPTY "\n");
	request_with(103, "", "<message/>");
	EXPECT("send <message/>\n3: " EMPTY "\n");
	server("<iq/>");
	EXPECT("4: " BODY("<iq/>") "\n");
}

static void test_hold_of_two(void **state)
{
	(void)state;
	create(" ver='1.6' hold='2'");
	server(FEATURES);
	buffer_clear(&one.log);
	request(101);
	at_ms(1000);
	request(102);
	EXPECT("");
	at_ms(3000);
	request(103);
	EXPECT("2: " EMPTY "\n");
	/* The oldest first, and each after its own wait. */
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	request(104);
	at_ms(62999);
	EXPECT("");
	at_ms(63000);
	EXPECT("4: " EMPTY "\n5: " EMPTY "\n");
}

static void test_payloads_down(void **state)
{
	(void)state;
	begin();
	/* It stays pending while there is no request, and goes into one answer. */
	server("<message><a/></message>");
	server("<iq/>");
	EXPECT("");
	request(101);
	EXPECT("2: " BODY("<message><a/></message><iq/>") "\n");
	/* The prefix is declared only when it is used. */
	server("<stream:x/>");
	request(102);
	EXPECT("3: <body " HTTPBIND " " STREAM "><stream:x/></body>\n");
	server("<iq/>");
	request(103);
	EXPECT("4: " BODY("<iq/>") "\n");
	/* What arrived together goes together. */
	request(104);
	assert_int_equal(
		buffer_append_sv(bosh_session_pending(one.session, 0, false, false), SV("<a/>")),
		0);
	assert_int_equal(
		buffer_append_sv(bosh_session_pending(one.session, 0, false, false), SV("<b/>")),
		0);
	done(bosh_session_flush(one.session, one.now, &one.actions));
	EXPECT("5: " BODY("<a/><b/>") "\n");
}

static void test_payloads_up(void **state)
{
	(void)state;
	begin();
	request_with(101, " xmlns:x='urn:x'", "<message xmlns='jabber:client'/><iq><x:y/></iq>");
	EXPECT("send <message xmlns='jabber:client'/><iq xmlns:x='urn:x'><x:y/></iq>\n");
	request_with(102, "", "<iq/>");
	EXPECT("send <iq/>\n2: " EMPTY "\n");
}

static void test_inactivity(void **state)
{
	(void)state;
	begin();
	at_ms(29999);
	EXPECT("");
	request(101);
	/* While one is held the client is there, however long. */
	at_ms(50000);
	EXPECT("");
	at_ms(89998);
	EXPECT("");
	at_ms(89999);
	EXPECT("2: " EMPTY "\n");
	at_ms(119998);
	EXPECT("");
	at_ms(119999);
	EXPECT("close\n" END(INACTIVITY));
}

static void test_terminate(void **state)
{
	(void)state;
	begin();
	request(101);
	request_with(102, " type='terminate'", "<presence type='unavailable'/>");
	EXPECT("send <presence type='unavailable'/>\nclose\n2: " GOODBYE "\n3: " EMPTY "\nend\n");
}

/* As gloox says goodbye. No other word ends a session. */
static void test_terminate_misspelt(void **state)
{
	(void)state;
	begin();
	request_with(101, " type='terminated'", "");
	EXPECT("");
	request_with(102, " type='terminal'", "");
	EXPECT("close\n2: " GOODBYE "\n3: " EMPTY "\nend\n");
}

static void test_terminate_alone(void **state)
{
	(void)state;
	begin();
	server("<message/>");
	request_with(101, " type='terminate'", "");
	/* What is pending is delivered before the session ends. */
	EXPECT("close\n2: <body " HTTPBIND " type='terminate'><message/></body>\nend\n");
}

static void test_terminate_above(void **state)
{
	(void)state;
	begin();
	congest(true);
	request(101);
	request_with(102, "", "<iq/>");
	EXPECT("send <iq/>\n");
	/* Both requests that are allowed are under way. */
	request_with(103, " type='terminate'", "");
	EXPECT("close\n2: " GOODBYE "\n3: " EMPTY "\n4: " EMPTY "\nend\n");
}

static void test_codings(void **state)
{
	(void)state;
	one.limits.accepts_codings = true;
	create(" ver='1.6'");
	server(FEATURES);
	assert_non_null(memmem(one.log.data, one.log.n, " accept='gzip,deflate'", 22));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_creation),
		TEST(test_creation_timeout),
		TEST(test_negotiation),
		TEST(test_ver),
		TEST(test_wait),
		TEST(test_hold),
		TEST(test_hold_of_two),
		TEST(test_payloads_down),
		TEST(test_payloads_up),
		TEST(test_inactivity),
		TEST(test_terminate),
		TEST(test_terminate_misspelt),
		TEST(test_terminate_alone),
		TEST(test_terminate_above),
		TEST(test_codings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
