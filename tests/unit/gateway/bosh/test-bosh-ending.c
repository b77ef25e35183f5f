/* SPDX-License-Identifier: MIT */
/* The server's side of a BOSH session, its limits, and its end in order. The table of rules is in
 * test-bosh-session.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

static void test_restart(void **state)
{
	(void)state;
	begin();
	request_with(101,
		     " to='example.org' xml:lang='de' from='a@example.org' xmpp:version='1.0' "
		     "xmpp:restart='true'",
		     "<iq/>");
	EXPECT("restart example.org|a@example.org|de|1.0||\n");
	server(FEATURES);
	EXPECT("2: <body " HTTPBIND " " STREAM ">" FEATURES "</body>\n");
	request_with(102, " xmpp:restart='true'", "");
	EXPECT("restart |||||\n");
}

/* Appends @n bytes from the server. */
static void server_sends(size_t n)
{
	char *bytes = malloc(n + 1);

	assert_non_null(bytes);
	memset(bytes, 'x', n);
	bytes[n] = '\0';
	server(bytes);
	free(bytes);
}

static void test_backpressure(void **state)
{
	(void)state;
	begin();
	server_sends(N_PENDING_MAX);
	EXPECT("");
	server_sends(1);
	EXPECT("pause\n");
	/* Said once. */
	server_sends(1);
	EXPECT("");
	request(101);
	struct sv log = buffer_sv(&one.log);

	assert_true(log.n > N_PENDING_MAX);
	assert_true(sv_eq(sv_skip(log, log.n - 7), SV("resume\n")));
	buffer_clear(&one.log);
	server_sends(N_PENDING_MAX + 1);
	EXPECT("pause\n");
}

/* While a request is held nothing stays pending, so no server is throttled. */
static void test_no_backpressure_when_attended(void **state)
{
	(void)state;
	begin();
	request(101);
	server_sends(2 * N_PENDING_MAX);
	assert_true(one.log.n > 2 * N_PENDING_MAX);
	assert_null(memmem(one.log.data, one.log.n, "pause", 5));
}

static void test_congested(void **state)
{
	(void)state;
	begin();
	congest(true);
	request_with(101, "", "<a/>");
	request_with(102, "", "<b/>");
	/* hold='1', but the answer that lets the client send more waits. */
	EXPECT("send <a/>\nsend <b/>\n");
	congest(false);
	EXPECT("2: " EMPTY "\n");
	congest(true);
	request_with(103, "", "<c/>");
	EXPECT("send <c/>\n");
	/* Payloads have to be delivered, and `wait` has to be kept. */
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	at_ms(60000);
	EXPECT("4: " EMPTY "\n");
}

/* As much waits for the server as may: payloads wait, too, until it has drained or wait is over. */
static void test_full(void **state)
{
	(void)state;
	begin();
	congest_so_far(BOSH_CONGESTION_FULL);
	request_with(101, "", "<a/>");
	request_with(102, "", "<b/>");
	EXPECT("send <a/>\nsend <b/>\n");
	server("<iq/>");
	server("<iq id='2'/>");
	EXPECT("");
	congest_so_far(BOSH_CONGESTION_NONE);
	EXPECT("2: " BODY("<iq/><iq id='2'/>") "\n");
	congest_so_far(BOSH_CONGESTION_FULL);
	server("<iq id='3'/>");
	EXPECT("");
	at_ms(60000);
	EXPECT("3: " BODY("<iq id='3'/>") "\n");
}

static void test_full_at_bound(void **state)
{
	(void)state;
	begin();
	congest_so_far(BOSH_CONGESTION_FULL);
	request(101);
	server_sends(N_PENDING_MAX);
	EXPECT("");
	server_sends(1);
	EXPECT("pause\n");
	/* The answer that takes what is pending lets the server be read again. */
	at_ms(60000);
	assert_true(one.log.n > N_PENDING_MAX);
	assert_non_null(memmem(one.log.data, one.log.n, "resume\n", 7));
}

#define SHUT                                                                           \
	"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>the gateway is being shut " \
	"down</text></body>\n"

static void test_shut(void **state)
{
	struct failure failure;

	(void)state;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	begin();
	request(101);
	request(103);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("2: <body " HTTPBIND " type='terminate' condition='system-shutdown'>" SHUT
	       "3: " TERMINATE("other-request") "\nclose\nend\n");
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("");
	/* Without a client, what is pending is returned. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	server("<a/>");
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("bounce <a/>\nclose\nend\n");
	/* With one, it is in the answer that tells the reason. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(101);
	assert_int_equal(
		buffer_append_sv(bosh_session_pending(one.session, 0, false, false), SV("<b/>")),
		0);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("2: <body " HTTPBIND " type='terminate' condition='system-shutdown'><b/>" SHUT
	       "close\nend\n");
	/* A request that waits for its predecessor is told the reason when no other is. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(102);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT("2: <body " HTTPBIND " type='terminate' condition='system-shutdown'>" SHUT
	       "close\nend\n");
}

/* The client has got @attributes, and an answer with a stanza @ms ago. */
static void shut_after(int64_t ms, const char *attributes, const char *expected)
{
	struct failure failure;

	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	teardown(NULL);
	assert_int_equal(setup(NULL), 0);
	create(attributes);
	server(FEATURES);
	server("<a/>");
	request(101);
	buffer_clear(&one.log);
	at_ms(ms);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	EXPECT(expected);
}

/* The last answer is returned if its client has not been heard of for a while. One that polls may
 * have read it. */
static void test_shut_absent(void **state)
{
	(void)state;
	shut_after(BOSH_ABSENT_MS - 1, " ver='1.6'", "close\nend\n");
	shut_after(BOSH_ABSENT_MS, " ver='1.6'", "bounce <a/>\nclose\nend\n");
	shut_after(BOSH_ABSENT_MS, " ver='1.6' ack='1'", "bounce <a/>\nclose\nend\n");
	shut_after(BOSH_ABSENT_MS, " ver='1.6' hold='0'", "close\nend\n");
}

/* Answers may be lost with their connections: who has asked early is known, too. */
static void test_shut_is_known(void **state)
{
	struct failure failure;

	(void)state;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	create(" ver='1.6' hold='2'");
	server(FEATURES);
	request(102);
	request(103);
	done(bosh_session_shut(one.session, &failure, one.now, &one.actions));
	struct bosh_last_answer last = bosh_session_take_last(one.session);

	assert_int_equal(last.n_asked, 3);
	assert_int_equal(last.asked[1].rid, 102);
	assert_int_equal(last.asked[2].rid, 103);
	bosh_last_answer_deinit(&last);
	buffer_clear(&one.log);
}

static void test_bounce(void **state)
{
	(void)state;
	begin();
	request(101);
	server("<a/>");
	server("<b/>");
	EXPECT("2: " BODY("<a/>") "\n");
	at_ms(30000);
	/* So is the last answer: having received it, the client would have sent another request. */
	EXPECT("bounce <a/>\nbounce <b/>\nclose\n" END(INACTIVITY));
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request(101);
	server("<a/>");
	request(102);
	buffer_clear(&one.log);
	gone(3);
	at_ms(90000);
	EXPECT("close\n" END(INACTIVITY));
	/* Also when it is the client's fault. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	server("<b/>");
	request(999);
	EXPECT("2: " BROKE(RID_WINDOW) "\nbounce <b/>\nclose\n" END(RID_WINDOW));
}

static void test_managed(void **state)
{
	(void)state;
	begin();
	bosh_session_set_managed(one.session, 0);
	server("<b/>");
	at_ms(30000);
	EXPECT(END(INACTIVITY));
	/* A client that terminates does not want the stream to be resumed. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	bosh_session_set_managed(one.session, 0);
	request_with(101, " type='terminate'", "");
	EXPECT("close\n2: " GOODBYE "\nend\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_restart),
		TEST(test_backpressure),
		TEST(test_no_backpressure_when_attended),
		TEST(test_congested),
		TEST(test_full),
		TEST(test_full_at_bound),
		TEST(test_shut),
		TEST(test_shut_absent),
		TEST(test_shut_is_known),
		TEST(test_bounce),
		TEST(test_managed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
