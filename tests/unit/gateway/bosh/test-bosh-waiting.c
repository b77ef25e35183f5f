/* SPDX-License-Identifier: MIT */
/* Payloads that the client sends before the features of their stream. test-bosh-session.c lists the
 * rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

#define FEATURES_TOLD "<body " HTTPBIND " " STREAM ">" FEATURES "</body>"
#define TOO_MUCH                                  \
	"policy-violation", "too-much-too-early", \
		"too much was sent before the features of the stream arrived"

/* A session whose creation was answered without features: exchange 1. */
static void begin_early(void)
{
	create(" ver='1.6' hold='1' wait='1' to='example.org'");
	at_ms(1000);
	assert_null(memmem(one.log.data, one.log.n, "features", 8));
	buffer_clear(&one.log);
}

static void test_order(void **state)
{
	(void)state;
	begin_early();
	request_with(101, "", "<a/>");
	request_with(103, "", "<c/>");
	request_with(102, "", "<b/>");
	EXPECT("2: " EMPTY "\n4: " EMPTY "\n");
	server(FEATURES);
	EXPECT("send <a/><b/><c/>\n3: " FEATURES_TOLD "\n");
	/* From then on nothing waits. */
	request_with(104, "", "<d/>");
	EXPECT("send <d/>\n");
}

/* A server without features: its header is enough. */
static void test_no_features(void **state)
{
	(void)state;
	begin_early();
	request_with(101, "", "<a/>");
	(void)bosh_session_pending(one.session, 0, false, true);
	done(bosh_session_flush(one.session, one.now, &one.actions));
	EXPECT("send <a/>\n");
}

/* Payloads that come together with the features do not overtake those that wait. */
static void test_no_overtaking(void **state)
{
	(void)state;
	begin_early();
	request_with(101, "", "<a/>");
	(void)bosh_session_pending(one.session, 0, false, true);
	request_with(102, "", "<b/>");
	EXPECT("2: " EMPTY "\n");
	done(bosh_session_flush(one.session, one.now, &one.actions));
	EXPECT("send <a/><b/>\n");
}

static void test_restart(void **state)
{
	(void)state;
	begin();
	request_with(101, " xmpp:restart='true'", "");
	request_with(102, "", "<iq/>");
	EXPECT("restart |||||\n2: " EMPTY "\n");
	request_with(103, " xmpp:restart='true'", "<ignored/>");
	EXPECT("restart |||||\n3: " EMPTY "\n");
	server(FEATURES);
	EXPECT("send <iq/>\n4: " FEATURES_TOLD "\n");
}

/* The payloads of a pause wait in their turn, too. */
static void test_pause(void **state)
{
	(void)state;
	one.limits.maxpause_s = 60;
	begin_early();
	request_with(101, " pause='10'", "<a/>");
	EXPECT("2: " EMPTY "\n");
	server(FEATURES);
	EXPECT("send <a/>\n");
}

/* A client that terminates does not wait for a server. */
static void test_terminate(void **state)
{
	(void)state;
	begin_early();
	request_with(101, "", "<a/>");
	request_with(102, " type='terminate'", "<b/>");
	EXPECT("close\n2: " GOODBYE "\n3: " EMPTY "\nend\n");
}

static void test_failure(void **state)
{
	(void)state;
	begin_early();
	request_with(101, "", "<a/>");
	fail_link(FAILURE_DNS_NO_NAME, NULL);
	EXPECT("2: " TERMINATE_WITH("host-unknown",
				    "there is no such domain in the DNS") "\nend\n");
	/* The same when no request can be answered. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin_early();
	request_with(101, "", "<a/>");
	at_ms(3000);
	EXPECT("2: " EMPTY "\n");
	fail_link(FAILURE_STREAM_TIMEOUT, NULL);
	EXPECT("");
	request_with(102, "", "<b/>");
	EXPECT("3: " TERMINATE_WITH("remote-connection-failed",
				    "the server did not open its stream in time") "\nend\n");
}

/* @n bytes of payloads, in requests from @rid on. Returns the next rid. */
static uint64_t send_bytes(uint64_t rid, const char *attributes, size_t n)
{
	enum {
		N_ONE = 8000,
	};
	static char payload[N_ONE + 1];

	for (size_t n_part; n; n -= n_part, rid++) {
		n_part = n < 2 * N_ONE - 100 ? (n < N_ONE ? n : n / 2) : N_ONE;
		snprintf(payload, sizeof(payload), "<a>%0*d</a>", (int)n_part - 7, 0);
		assert_int_equal(strlen(payload), n_part);
		request_with(rid, attributes, payload);
	}
	return rid;
}

static void test_limit(void **state)
{
	(void)state;
	begin_early();
	uint64_t rid = send_bytes(101, "", BOSH_WAITING_MAX);

	assert_null(memmem(one.log.data, one.log.n, "terminate", 9));
	assert_null(memmem(one.log.data, one.log.n, "send", 4));
	buffer_clear(&one.log);
	/* An empty request carries nothing, so it cannot be too much. */
	at_ms(5000);
	request(rid);
	buffer_clear(&one.log);
	server(FEATURES);
	assert_true(one.log.n > BOSH_WAITING_MAX);
	assert_int_equal(memcmp(one.log.data, "send <a>", 8), 0);
	/* All of it has been sent, so there is no limit any more. */
	buffer_clear(&one.log);
	send_bytes(rid + 1, "", BOSH_WAITING_MAX + 1);
	assert_null(memmem(one.log.data, one.log.n, "terminate", 9));
}

static void test_above_limit(void **state)
{
	(void)state;
	begin_early();
	uint64_t rid = send_bytes(101, "", BOSH_WAITING_MAX - 3);

	buffer_clear(&one.log);
	request_with(rid, "", "<b/>");
	assert_true(one.n_exchanges > 9 && one.n_exchanges < 90);
	char expected[1000];

	snprintf(expected, sizeof(expected), "%d: %s\n%d: %s\nclose\nend too-much-too-early\n",
		 (int)one.n_exchanges, BROKE(TOO_MUCH), (int)one.n_exchanges - 1, OTHER(TOO_MUCH));
	EXPECT(expected);
}

/* The same after a restart. */
static void test_above_limit_of_restart(void **state)
{
	(void)state;
	begin();
	request_with(101, " xmpp:restart='true'", "");
	uint64_t rid = send_bytes(102, "", BOSH_WAITING_MAX);

	assert_null(memmem(one.log.data, one.log.n, "terminate", 9));
	request_with(rid, "", "<b/>");
	assert_non_null(memmem(one.log.data, one.log.n, "too-much-too-early", 18));
}

/* Several streams. */

static char name[40];

/* Adds stream 1, in a session with features: exchange 2, rid 101. */
static void begin_two(void)
{
	one.limits.n_streams_max = 3;
	create(" ver='1.6' hold='1'");
	server(FEATURES);
	buffer_clear(&one.log);
	request_with(101, " to='b.org'", "");
	const char *at = memmem(one.log.data, one.log.n, " stream='", 9);

	assert_non_null(at);
	snprintf(name, sizeof(name), "%.32s", at + 9);
	buffer_clear(&one.log);
}

static const char *named(void)
{
	static char text[60];

	snprintf(text, sizeof(text), " stream='%s'", name);
	return text;
}

static void features_of(unsigned stream)
{
	(void)bosh_session_pending(one.session, stream, false, true);
	done(bosh_session_flush(one.session, one.now, &one.actions));
}

static void test_second_stream(void **state)
{
	(void)state;
	begin_two();
	request_with(102, named(), "<a/>");
	EXPECT("");
	/* Payloads for all streams go to those that are open. */
	request_with(103, "", "<b/>");
	EXPECT("send 0 <b/>\n3: " EMPTY "\n");
	features_of(1);
	EXPECT("send 1 <a/>\n");
	/* From now on it counts among all. */
	request_with(104, "", "<c/>");
	EXPECT("send 0 <c/>\nsend 1 <c/>\n4: " EMPTY "\n");
}

/* While none is open, payloads wait for each of them. */
static void test_for_all(void **state)
{
	(void)state;
	one.limits.n_streams_max = 3;
	begin_early();
	request_with(101, " to='b.org'", "");
	buffer_clear(&one.log);
	request_with(102, "", "<a/>");
	EXPECT("");
	features_of(1);
	EXPECT("send 1 <a/>\n");
	request_with(103, "", "<b/>");
	EXPECT("send 1 <b/>\n3: " EMPTY "\n");
	features_of(0);
	EXPECT("send 0 <a/>\n");
}

/* A stream that restarts still counts among all. Payloads wait for it alone. */
static void test_restart_of_one(void **state)
{
	char attributes[100];

	(void)state;
	begin_two();
	features_of(1);
	snprintf(attributes, sizeof(attributes), "%s xmpp:restart='true'", named());
	request_with(102, attributes, "");
	EXPECT("restart 1 |||||\n");
	request_with(103, "", "<a/>");
	EXPECT("send 0 <a/>\n3: " EMPTY "\n");
	features_of(1);
	EXPECT("send 1 <a/>\n");
}

static void test_failure_of_one(void **state)
{
	struct failure failure;

	(void)state;
	begin_two();
	failure_set(&failure, FAILURE_CONNECT_REFUSED, NULL);
	uint64_t rid = send_bytes(102, named(), BOSH_WAITING_MAX);

	buffer_clear(&one.log);
	done(bosh_session_fail(one.session, 1, &failure, one.now, &one.actions));
	assert_non_null(memmem(one.log.data, one.log.n, "remote-connection-failed", 24));
	assert_non_null(memmem(one.log.data, one.log.n, name, 32));
	assert_null(memmem(one.log.data, one.log.n, "send", 4));
	assert_null(memmem(one.log.data, one.log.n, "end", 3));
	buffer_clear(&one.log);
	/* The others go on, and there is room again. */
	request_with(rid, "", "<b/>");
	EXPECT("send 0 <b/>\n");
	request_with(rid + 1, " to='c.org'", "");
	const char *at = memmem(one.log.data, one.log.n, "open", 4);

	assert_non_null(at);
}

/* All streams share one limit. */
static void test_limit_of_all(void **state)
{
	(void)state;
	one.limits.n_streams_max = 3;
	begin_early();
	request_with(101, " to='b.org'", "");
	/* Each byte waits for two streams, and counts twice. */
	uint64_t rid = send_bytes(102, "", BOSH_WAITING_MAX / 2);

	assert_null(memmem(one.log.data, one.log.n, "terminate", 9));
	request_with(rid, "", "<b/>");
	assert_non_null(memmem(one.log.data, one.log.n, "too-much-too-early", 18));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),          TEST(test_no_features),
		TEST(test_no_overtaking),  TEST(test_restart),
		TEST(test_pause),          TEST(test_terminate),
		TEST(test_failure),        TEST(test_limit),
		TEST(test_above_limit),    TEST(test_above_limit_of_restart),
		TEST(test_second_stream),  TEST(test_for_all),
		TEST(test_restart_of_one), TEST(test_failure_of_one),
		TEST(test_limit_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
