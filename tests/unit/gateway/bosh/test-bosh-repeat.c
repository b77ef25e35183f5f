/* SPDX-License-Identifier: MIT */
/* "Broken Connections" (XEP-0124): repeats, and requests whose connection broke.
 * test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

static void test_repeat_answered(void **state)
{
	(void)state;
	begin();
	request_with(101, "", "<message/>");
	server("<iq/>");
	EXPECT("send <message/>\n2: " BODY("<iq/>") "\n");
	server("<presence/>");
	/* Nothing is sent to the server again, and new payloads go to the next request. */
	request_with(101, "", "<message/>");
	request_with(101, "", "<message/>");
	EXPECT("3: " BODY("<iq/>") "\n4: " BODY("<iq/>") "\n");
	request(102);
	EXPECT("5: " BODY("<presence/>") "\n");
	/* As many as `requests` are kept. */
	request(101);
	EXPECT("6: " BODY("<iq/>") "\n");
	/* A repeat is a sign of life. */
	at_ms(20000);
	request(102);
	EXPECT("7: " BODY("<presence/>") "\n");
	at_ms(49999);
	EXPECT("");
	at_ms(50000);
	EXPECT("bounce <presence/>\nclose\n" END(INACTIVITY));
}

static void test_repeat_creation(void **state)
{
	(void)state;
	begin();
	request(100);
	EXPECT("2: " CREATION ">" FEATURES "</body>\n");
}

static void test_repeat_forgotten(void **state)
{
	(void)state;
	begin();
	for (uint64_t rid = 101; rid <= 103; rid++) {
		request(rid);
		server("<iq/>");
	}
	buffer_clear(&one.log);
	request(102);
	EXPECT("5: " BODY("<iq/>") "\n");
	request(101);
	EXPECT("6: " BROKE(RESPONSE_DROPPED) "\nclose\n" END(RESPONSE_DROPPED));
}

static void test_repeat_held(void **state)
{
	(void)state;
	begin();
	request_with(101, "", "<message/>");
	EXPECT("send <message/>\n");
	at_ms(20000);
	request_with(101, "", "<message/>");
	EXPECT("2: " DISPLACED "\n");
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	request_with(101, "", "<message/>");
	EXPECT("4: " BODY("<iq/>") "\n");
}

static void test_repeat_limit(void **state)
{
	(void)state;
	begin();
	request(101);
	for (unsigned i = 0; i < one.limits.n_repeats_max; i++) {
		request(101);
	}
	buffer_clear(&one.log);
	request(101);
	assert_int_equal(one.n_exchanges, 2 + one.limits.n_repeats_max + 1);
	EXPECT("11: " BROKE(TOO_MANY_REPEATS) "\n10: " OTHER(TOO_MANY_REPEATS) "\nclose\n" END(
		TOO_MANY_REPEATS));
	/* Each rid has its own limit. */
	void *next = NULL;

	teardown(&next);
	assert_int_equal(setup(&next), 0);
	begin();
	for (uint64_t rid = 101; rid < 120; rid++) {
		request_with(rid, "", "<iq/>");
		request_with(rid, "", "<iq/>");
	}
	assert_null(memmem(one.log.data, one.log.n, "terminate", 9));
}

/* A repeat of an answered request, and of an early one. */
static void test_repeat_limit_of_others(void **state)
{
	(void)state;
	for (int early = 0; early < 2; early++) {
		uint64_t rid = early ? 102 : 101;

		begin();
		request_with(rid, "", "<a/>");
		if (!early) {
			server("<iq/>");
		}
		for (unsigned i = 0; i < one.limits.n_repeats_max; i++) {
			request_with(rid, "", "<a/>");
		}
		assert_null(memmem(one.log.data, one.log.n, "terminate", 9));
		buffer_clear(&one.log);
		request_with(rid, "", "<a/>");
		assert_non_null(memmem(one.log.data, one.log.n, "policy-violation", 16));
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

/* Whether early, held or answered, it is the same request, with one limit. */
static void test_repeat_limit_of_a_life(void **state)
{
	(void)state;
	begin();
	for (int i = 0; i < 4; i++) {
		request_with(102, "", "<b/>");
	}
	request_with(101, "", "<a/>");
	for (int i = 0; i < 3; i++) {
		request_with(102, "", "<b/>");
	}
	server("<x/>");
	server("<y/>");
	buffer_clear(&one.log);
	request_with(102, "", "<b/>");
	request_with(102, "", "<b/>");
	assert_null(memmem(one.log.data, one.log.n, "terminate", 9));
	request_with(102, "", "<b/>");
	assert_non_null(memmem(one.log.data, one.log.n, "policy-violation", 16));
}

/* However large the replies are, none goes whose request may still be repeated. */
static void test_repeat_bytes(void **state)
{
	char large[2 * N_PENDING_MAX + 1];

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	begin();
	request_with(101, "", "<a/>");
	server(large);
	request_with(102, "", "<a/>");
	server(large);
	for (uint64_t rid = 101; rid <= 102; rid++) {
		buffer_clear(&one.log);
		request_with(rid, "", "<a/>");
		assert_non_null(memmem(one.log.data, one.log.n, large, strlen(large)));
	}
}

/* They are two, as `requests`, so a client that goes on does not fill our memory. */
static void test_repeat_memory(void **state)
{
	char large[2 * N_PENDING_MAX + 1];

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	begin();
	for (uint64_t rid = 101; rid < 110; rid++) {
		request_with(rid, "", "<a/>");
		server(large);
		if (rid > 101) {
			assert_int_equal(bosh_session_held(one.session), 2 * strlen(large));
		}
	}
}

static void test_gone(void **state)
{
	(void)state;
	begin();
	request_with(101, "", "<message/>");
	EXPECT("send <message/>\n");
	at_ms(10000);
	gone(2);
	/* No request can be answered, so it waits for the repeat. */
	server("<iq/>");
	EXPECT("");
	at_ms(20000);
	request_with(101, "", "<message/>");
	EXPECT("3: " BODY("<iq/>") "\n");
}

/* The client has not noticed and goes on. The next request causes the answer to the broken one,
 * which is kept for its repeat. */
static void test_gone_then_next(void **state)
{
	(void)state;
	begin();
	request(101);
	gone(2);
	server("<iq/>");
	request(102);
	EXPECT("3: " BODY("<iq/>") "\n");
	request(101);
	EXPECT("4: " EMPTY "\n");
	/* The same when nothing is pending: hold='1' counts for the request that has a
	 * connection. */
	request(103);
	gone(5);
	request(104);
	EXPECT("");
	request(103);
	EXPECT("7: " EMPTY "\n");
	server("<iq/>");
	EXPECT("6: " BODY("<iq/>") "\n");
}

/* The empty answer does not declare the prefix that the payloads of another one use. */
static void test_gone_and_stream_pending(void **state)
{
	(void)state;
	begin();
	request(101);
	gone(2);
	server("<stream:x/>");
	request(102);
	EXPECT("3: <body " HTTPBIND " " STREAM "><stream:x/></body>\n");
	request(101);
	EXPECT("4: " EMPTY "\n");
}

static void test_gone_for_good(void **state)
{
	(void)state;
	begin();
	at_ms(1000);
	request(101);
	at_ms(10000);
	gone(2);
	/* Inactivity counts from there, not from the answer that nobody received. */
	assert_int_equal(bosh_session_deadline(one.session).ms, 40000);
	at_ms(39999);
	EXPECT("");
	at_ms(40000);
	EXPECT("close\n" END(INACTIVITY));
}

static void test_gone_wait_is_over(void **state)
{
	(void)state;
	begin();
	request(101);
	at_ms(50000);
	gone(2);
	at_ms(79999);
	EXPECT("");
	/* Its answer was given at 60000, and is there for a repeat. */
	request(101);
	EXPECT("3: " EMPTY "\n");

	void *next = NULL;

	teardown(&next);
	assert_int_equal(setup(&next), 0);
	begin();
	request(101);
	at_ms(50000);
	gone(2);
	at_ms(80000);
	EXPECT("close\n" END(INACTIVITY));
}

/* That an unknown exchange has gone is no sign of life. */
static void test_gone_unknown(void **state)
{
	(void)state;
	begin();
	at_ms(10000);
	gone(1);
	gone(77);
	at_ms(29999);
	EXPECT("");
	at_ms(30000);
	EXPECT("bounce " FEATURES "\nclose\n" END(INACTIVITY));
}

/* The client never learned the sid. */
static void test_gone_before_creation(void **state)
{
	(void)state;
	create(" ver='1.6' hold='1' wait='60'");
	at_ms(5000);
	gone(1);
	at_ms(5000);
	EXPECT("close\n" END(INACTIVITY));
}

static void test_gone_early(void **state)
{
	(void)state;
	begin();
	request_with(102, "", "<b/>");
	gone(2);
	/* It is forgotten: the client will send it again. */
	request_with(101, "", "<a/>");
	EXPECT("send <a/>\n");
	request_with(102, "", "<b/>");
	EXPECT("send <b/>\n3: " EMPTY "\n");
	/* An exchange that has been answered or was never there. */
	gone(3);
	gone(77);
	server("<iq/>");
	EXPECT("4: " BODY("<iq/>") "\n");
}

/* A session with hold 1 and two streams. Writes the name of the first into @ret_attribute. */
static void begin_with_streams(char ret_attribute[static 64])
{
	static const char mark[] = " stream='";

	one.limits.n_streams_max = 2;
	create(" ver='1.6' hold='1'");
	server(FEATURES);
	const char *name = memmem(one.log.data, one.log.n, mark, sizeof(mark) - 1);

	assert_non_null(name);
	snprintf(ret_attribute, 64, "%.*s'", (int)(sizeof(mark) - 1 + 32), name);
	request_with(101, " to='b.org'", "");
	buffer_clear(&one.log);
}

/* A request that closes one of several streams may be one more than `requests`, too. Its reply does
 * not push out those to the others, which the client may not have got. */
static void test_repeat_behind_closed_stream(void **state)
{
	char stream[64], attributes[100];

	(void)state;
	begin_with_streams(stream);
	request(102);
	request_with(103, stream, "<message/>");
	buffer_clear(&one.log);
	snprintf(attributes, sizeof(attributes), "%s type='terminate'", stream);
	request_with(104, attributes, "");
	(void)bosh_session_pending(one.session, 1, false, true);
	done(bosh_session_flush(one.session, one.now, &one.actions));
	at_ms(60000);
	buffer_clear(&one.log);
	request(102);
	EXPECT("6: " EMPTY "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_repeat_answered),
		TEST(test_repeat_creation),
		TEST(test_repeat_forgotten),
		TEST(test_repeat_held),
		TEST(test_repeat_limit),
		TEST(test_repeat_limit_of_others),
		TEST(test_repeat_limit_of_a_life),
		TEST(test_repeat_bytes),
		TEST(test_repeat_memory),
		TEST(test_repeat_behind_closed_stream),
		TEST(test_gone),
		TEST(test_gone_then_next),
		TEST(test_gone_and_stream_pending),
		TEST(test_gone_for_good),
		TEST(test_gone_wait_is_over),
		TEST(test_gone_unknown),
		TEST(test_gone_before_creation),
		TEST(test_gone_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
