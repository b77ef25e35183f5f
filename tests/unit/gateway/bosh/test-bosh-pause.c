/* SPDX-License-Identifier: MIT */
/* Pauses and lingering. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

static void begin_pausing(void)
{
	one.limits.maxpause_s = 120;
	begin();
}

static void test_pause_announced(void **state)
{
	(void)state;
	one.limits.maxpause_s = 120;
	create(" ver='1.6' hold='1'");
	server(FEATURES);
	assert_non_null(memmem(one.log.data, one.log.n, " maxpause='120'", 15));
}

/* All requests are answered, the pause without payloads. Then the client may be away that long. */
static void test_pause(void **state)
{
	(void)state;
	begin_pausing();
	request(101);
	at_ms(5000);
	request_with(102, " pause='100'", "<a/>");
	EXPECT("send <a/>\n2: " EMPTY "\n3: " EMPTY "\n");
	server("<iq/>");
	at_ms(104999);
	EXPECT("");
	at_ms(105000);
	EXPECT("bounce <iq/>\nclose\n" END(INACTIVITY));
}

static void test_pause_ends_with_next(void **state)
{
	(void)state;
	begin_pausing();
	request_with(101, " pause='100'", "");
	server("<iq/>");
	EXPECT("2: " EMPTY "\n");
	at_ms(90000);
	request(102);
	EXPECT("3: " BODY("<iq/>") "\n");
	at_ms(119999);
	EXPECT("");
	at_ms(120000);
	EXPECT("bounce <iq/>\nclose\n" END(INACTIVITY));
}

/* A pause shorter than inactivity ends the session sooner. */
static void test_pause_short(void **state)
{
	static const struct {
		const char *attributes;
		int64_t end_ms;
	} rows[] = {{" pause='7'", 7000}, {" pause='30'", 30000}, {" pause='0'", 1000}};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin_pausing();
		request_with(101, rows[i].attributes, "");
		buffer_clear(&one.log);
		at_ms(rows[i].end_ms - 1);
		EXPECT("");
		at_ms(rows[i].end_ms);
		EXPECT("close\n" END(INACTIVITY));
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void test_pause_limit(void **state)
{
	(void)state;
	begin_pausing();
	request_with(101, " pause='120'", "");
	EXPECT("2: " EMPTY "\n");
	request_with(102, " pause='121'", "<a/>");
	EXPECT("3: " BROKE(PAUSE_TOO_LONG) "\nclose\n" END(PAUSE_TOO_LONG));
	teardown(state);
	/* Nor where no pauses were offered. */
	assert_int_equal(setup(state), 0);
	begin();
	request_with(101, " pause='1'", "");
	EXPECT("2: " BROKE(PAUSE_NOT_OFFERED) "\nclose\n" END(PAUSE_NOT_OFFERED));
}

/* "Broken Connections": its answer is not one of the `requests` that are kept. */
static void test_pause_and_kept(void **state)
{
	(void)state;
	begin_pausing();
	for (uint64_t rid = 101; rid <= 104; rid++) {
		request_with(rid, rid == 103 ? " pause='10'" : "", "<a/>");
		server("<iq/>");
	}
	buffer_clear(&one.log);
	request_with(104, "", "<a/>");
	EXPECT("6: " BODY("<iq/>") "\n");
	request_with(103, " pause='10'", "<a/>");
	EXPECT("7: " EMPTY "\n");
	request_with(102, "", "<a/>");
	EXPECT("8: " BODY("<iq/>") "\n");
	/* A second pause pushes out no other reply, a third one the first pause. */
	request_with(105, " pause='10'", "");
	EXPECT("9: " EMPTY "\n");
	request_with(102, "", "<a/>");
	EXPECT("10: " BODY("<iq/>") "\n");
	request_with(105, " pause='10'", "");
	EXPECT("11: " EMPTY "\n");
	request_with(106, " pause='10'", "");
	EXPECT("12: " EMPTY "\n");
	request_with(102, "", "<a/>");
	EXPECT("13: " BODY("<iq/>") "\n");
	request_with(105, " pause='10'", "");
	EXPECT("14: " EMPTY "\n");
	request_with(103, " pause='10'", "<a/>");
	EXPECT("15: " BROKE(RESPONSE_DROPPED) "\nbounce <iq/>\nclose\n" END(RESPONSE_DROPPED));
}

/* "Overactivity": a request that pauses may be one more than `requests`. */
static void test_pause_above(void **state)
{
	(void)state;
	begin_pausing();
	congest(true);
	request(101);
	request_with(102, "", "<a/>");
	request_with(103, " pause='10'", "");
	EXPECT("send <a/>\n2: " EMPTY "\n3: " EMPTY "\n4: " EMPTY "\n");
	/* The window is one rid larger for it. */
	request_with(106, " pause='10'", "");
	EXPECT("");
	request_with(108, " pause='10'", "");
	EXPECT("6: " BROKE(RID_WINDOW) "\n5: " OTHER(RID_WINDOW) "\nclose\n" END(RID_WINDOW));
}

/* A client whose HTTP connections break, and that repeats the pause, still pauses. */
static void test_pause_repeated(void **state)
{
	(void)state;
	begin_pausing();
	request_with(101, " pause='100'", "");
	at_ms(50000);
	request_with(101, " pause='100'", "");
	EXPECT("2: " EMPTY "\n3: " EMPTY "\n");
	at_ms(149999);
	EXPECT("");
	at_ms(150000);
	EXPECT("close\n" END(INACTIVITY));
}

/* The client is told how its stream ended, and what came before, when it comes back: the answer to
 * a pause has no payloads. What it sends with the pause has no server any more. */
static void test_pause_after_failure(void **state)
{
	(void)state;
	begin_pausing();
	server("<iq/>");
	fail_link(FAILURE_CONNECTION_LOST, NULL);
	request_with(101, " pause='100'", "<a/>");
	EXPECT("2: " EMPTY "\n");
	at_ms(90000);
	EXPECT("");
	request(102);
	EXPECT("3: <body " HTTPBIND " type='terminate' condition='remote-connection-failed'><iq/>"
	       "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>the connection to the server "
	       "broke</text></body>\nend\n");
}

/* With lingering, one request suffices for a round trip. */

static void begin_lingering(void)
{
	one.limits.linger_ms = 10;
	begin();
}

static void test_linger(void **state)
{
	(void)state;
	begin_lingering();
	request(101);
	at_ms(5000);
	request_with(102, "", "<ping/>");
	EXPECT("send <ping/>\n");
	/* The reply is in the answer to the older request. The newer one goes on waiting. */
	at_ms(5004);
	server("<pong/>");
	EXPECT("2: " BODY("<pong/>") "\n");
	at_ms(6000);
	EXPECT("");
	request_with(103, "", "<ping/>");
	EXPECT("send <ping/>\n");
	at_ms(6009);
	EXPECT("");
	at_ms(6010);
	EXPECT("3: " EMPTY "\n");
	/* A payload that comes later answers the newer one. */
	server("<pong/>");
	EXPECT("4: " BODY("<pong/>") "\n");
}

/* Only a request that makes the server reply is worth lingering for. */
static void test_linger_not_for_empty(void **state)
{
	(void)state;
	begin_lingering();
	request(101);
	at_ms(5000);
	request(102);
	EXPECT("2: " EMPTY "\n");
	request_with(103, " xmpp:restart='true'", "");
	EXPECT("restart |||||\n");
	at_ms(5010);
	EXPECT("3: " EMPTY "\n");
}

/* When the client sends its next request, the lingering one is answered first. No rule is
 * broken. */
static void test_linger_and_next(void **state)
{
	(void)state;
	begin_lingering();
	request(101);
	request_with(102, "", "<a/>");
	EXPECT("send <a/>\n");
	request_with(103, "", "<b/>");
	EXPECT("2: " EMPTY "\nsend <b/>\n");
	at_ms(9);
	EXPECT("");
	at_ms(10);
	EXPECT("3: " EMPTY "\n");
	request_with(104, " type='terminate'", "");
	EXPECT("close\n4: " GOODBYE "\n5: " EMPTY "\nend\n");
}

/* A session that polls holds nothing, so nothing lingers. */
static void test_linger_not_for_polling(void **state)
{
	(void)state;
	one.limits.linger_ms = 10;
	create(" ver='1.6' hold='0'");
	server(FEATURES);
	buffer_clear(&one.log);
	request_with(101, "", "<a/>");
	EXPECT("send <a/>\n2: <body " HTTPBIND " " STREAM ">" FEATURES "</body>\n");
	request_with(102, "", "<a/>");
	EXPECT("send <a/>\n3: " EMPTY "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pause_announced),
		TEST(test_pause),
		TEST(test_pause_ends_with_next),
		TEST(test_pause_short),
		TEST(test_pause_limit),
		TEST(test_pause_and_kept),
		TEST(test_pause_above),
		TEST(test_pause_repeated),
		TEST(test_pause_after_failure),
		TEST(test_linger),
		TEST(test_linger_not_for_empty),
		TEST(test_linger_and_next),
		TEST(test_linger_not_for_polling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
