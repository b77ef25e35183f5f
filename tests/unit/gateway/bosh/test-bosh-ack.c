/* SPDX-License-Identifier: MIT */
/* Acknowledgements in a BOSH session. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/bosh/reply-cache.h"
#include "tests/unit/gateway/bosh/bosh-case.h"

/* Exchange 1, FIRST_RID, as begin(); the client acknowledges. */
static void begin_acks(const char *attributes)
{
	create(attributes);
	server(FEATURES);
	buffer_clear(&one.log);
}

static void begin_with_hold(const char *hold)
{
	char attributes[100];

	one.limits.hold = 4;
	snprintf(attributes, sizeof(attributes), " ver='1.6' ack='1' hold='%s'", hold);
	begin_acks(attributes);
}

static void test_ack_announced(void **state)
{
	static const struct {
		const char *ack, *expected;
	} rows[] = {
		{" ack='1'", " ack='100' from="},
		{"", " ver='1.6' from="},
		/* Anything but 1 is no wish. */
		{" ack='0'", " ver='1.6' from="},
		{" ack='100'", " ver='1.6' from="},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char attributes[100];

		snprintf(attributes, sizeof(attributes), " ver='1.6' hold='1'%s", rows[i].ack);
		create(attributes);
		assert_int_equal(bosh_session_header(one.session, 0, NULL, "x.org"), 0);
		server(FEATURES);
		assert_non_null(memmem(one.log.data, one.log.n, rows[i].expected,
				       strlen(rows[i].expected)));
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

/* An answer has the highest rid up to which none is missing, unless that is the rid it answers. */
static void test_ack_of_requests(void **state)
{
	(void)state;
	begin_with_hold("2");
	request_with(101, "", "<a/>");
	request_with(102, "", "<b/>");
	buffer_clear(&one.log);
	server("<iq/>");
	EXPECT("2: <body " HTTPBIND " ack='102'><iq/></body>\n");
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	/* 104 is here and 103 is not. */
	request_with(104, "", "<d/>");
	request_with(103, "", "<c/>");
	EXPECT("send <c/>\nsend <d/>\n");
	server("<iq/>");
	EXPECT("5: <body " HTTPBIND " ack='104'><iq/></body>\n");
	/* An early request counts as soon as none before it is missing, even before its turn. */
	server("<iq/>");
	buffer_clear(&one.log);
	server("<iq/>");
	request_with(106, "", "<f/>");
	request_with(105, "", "<e/>");
	EXPECT("send <e/>\n7: <body " HTTPBIND " ack='106'><iq/></body>\nsend <f/>\n");
	/* A client that did not ask for acknowledgements gets none. */
	teardown(state);
	assert_int_equal(setup(state), 0);
	begin();
	request_with(101, "", "<a/>");
	request_with(102, "", "<b/>");
	EXPECT("send <a/>\nsend <b/>\n2: " EMPTY "\n");
}

static void test_ack_of_answers(void **state)
{
	(void)state;
	begin_with_hold("1");
	/* Three answers, of which the client says each time that it has none but the first. */
	for (uint64_t rid = 101; rid <= 103; rid++) {
		request_with(rid, rid == 101 ? "" : " ack='100'", "<x/>");
		server("<iq/>");
	}
	buffer_clear(&one.log);
	/* All three are still there, though `requests` is 2. */
	request_with(101, "", "<x/>");
	EXPECT("5: " BODY("<iq/>") "\n");
	request_with(102, " ack='100'", "<x/>");
	EXPECT("6: " BODY("<iq/>") "\n");
	request_with(104, " ack='101'", "<x/>");
	EXPECT("send <x/>\n");
	request_with(102, " ack='100'", "<x/>");
	EXPECT("8: " BODY("<iq/>") "\n");
	/* What has been acknowledged is gone. */
	request_with(101, "", "<x/>");
	EXPECT("9: " BROKE(RESPONSE_DROPPED) "\n7: " OTHER(RESPONSE_DROPPED) "\nclose\n" END(
		RESPONSE_DROPPED));
}

/* No attribute: the client has all answers to the requests before. */
static void test_ack_left_out(void **state)
{
	(void)state;
	begin_with_hold("1");
	request_with(101, "", "<x/>");
	server("<iq/>");
	request_with(102, "", "<x/>");
	server("<iq/>");
	buffer_clear(&one.log);
	request_with(102, "", "<x/>");
	EXPECT("4: " BODY("<iq/>") "\n");
	request_with(101, "", "<x/>");
	EXPECT("5: " BROKE(RESPONSE_DROPPED) "\nclose\n" END(RESPONSE_DROPPED));
}

/* Acknowledging what was never answered says no more than acknowledging everything. */
static void test_ack_of_the_future(void **state)
{
	(void)state;
	begin_with_hold("1");
	request_with(101, "", "<x/>");
	server("<iq/>");
	buffer_clear(&one.log);
	request_with(102, " ack='9007199254740991'", "<x/>");
	EXPECT("send <x/>\n");
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	request_with(102, " ack='9007199254740991'", "<x/>");
	EXPECT("4: " BODY("<iq/>") "\n");
}

static void test_report(void **state)
{
	(void)state;
	begin_with_hold("1");
	request_with(101, "", "<x/>");
	server("<iq/>");
	buffer_clear(&one.log);
	/* A young answer may still be on its way. */
	at_ms(BOSH_REPORT_MS - 1);
	request_with(102, " ack='100'", "<x/>");
	EXPECT("send <x/>\n");
	server("<iq/>");
	EXPECT("3: " BODY("<iq/>") "\n");
	at_ms(BOSH_REPORT_MS);
	request_with(103, " ack='100'", "<x/>");
	EXPECT("send <x/>\n4: <body " HTTPBIND " report='101' time='1000'/>\n");
	/* It is reported once. So is the next one that is missing. */
	at_ms(5000);
	request_with(104, " ack='100'", "<x/>");
	EXPECT("send <x/>\n");
	server("<iq/>");
	EXPECT("5: " BODY("<iq/>") "\n");
	request_with(105, " ack='101'", "<x/>");
	EXPECT("send <x/>\n6: <body " HTTPBIND " report='102' time='4001'/>\n");
}

/* The report goes to a request that can be answered, together with payloads if there are any. */
static void test_report_and_gone(void **state)
{
	(void)state;
	begin_with_hold("2");
	request_with(101, "", "<x/>");
	server("<iq/>");
	request_with(102, " ack='100'", "<x/>");
	gone(3);
	at_ms(3000);
	buffer_clear(&one.log);
	request_with(103, " ack='100'", "<x/>");
	EXPECT("send <x/>\n4: <body " HTTPBIND " report='101' time='3000'/>\n");
	server("<message/>");
	request_with(104, "", "<x/>");
	EXPECT("send <x/>\n5: " BODY("<message/>") "\n");
}

/* When a client vanishes, what it has not acknowledged is returned. */
static void test_ack_and_vanished(void **state)
{
	(void)state;
	begin_with_hold("1");
	request_with(101, "", "<x/>");
	server("<a/>");
	request_with(102, " ack='100'", "<x/>");
	server("<b/>");
	server("<c/>");
	buffer_clear(&one.log);
	at_ms(30000);
	EXPECT("bounce <a/>\nbounce <b/>\nbounce <c/>\nclose\n" END(INACTIVITY));
}

/* A client whose request is held cannot acknowledge, so that request is answered, once. */
static void test_ack_wanted(void **state)
{
	char text[N_PENDING_MAX + 2];

	(void)state;
	begin_with_hold("2");
	memset(text, 'x', sizeof(text));
	text[N_PENDING_MAX + 1] = '\0';
	request_with(101, "", "<x/>");
	request_with(102, "", "<x/>");
	buffer_clear(&one.log);
	server(text);
	assert_non_null(memmem(one.log.data, one.log.n, "</body>\npause\n", 14));
	buffer_clear(&one.log);
	done(bosh_session_flush(one.session, one.now, &one.actions));
	EXPECT("3: " EMPTY "\n");
	/* One that does not acknowledge is not answered again and again. */
	request_with(103, " ack='100'", "<x/>");
	EXPECT("send <x/>\n");
	request_with(104, " ack='102'", "<x/>");
	EXPECT("send <x/>\nresume\n");
	/* The next time it is asked again. */
	server(text);
	buffer_clear(&one.log);
	done(bosh_session_flush(one.session, one.now, &one.actions));
	EXPECT("5: " EMPTY "\n");
}

/* What is not acknowledged counts as pending: the server waits. */
static void test_ack_backpressure(void **state)
{
	char text[N_PENDING_MAX + 2];

	(void)state;
	begin_with_hold("1");
	memset(text, 'x', sizeof(text));
	memcpy(text, "<m>", 3);
	text[N_PENDING_MAX] = '\0';
	request_with(101, "", "<x/>");
	server(text);
	assert_null(memmem(one.log.data, one.log.n, "pause", 5));
	buffer_clear(&one.log);
	request_with(102, " ack='100'", "<x/>");
	EXPECT("send <x/>\n");
	server("<y/>");
	EXPECT("3: " BODY("<y/>") "\npause\n");
	request_with(103, " ack='101'", "<x/>");
	EXPECT("send <x/>\nresume\n");
}

/* More than BOSH_REPLIES_MAX are not kept, whatever the client says. */
static void test_kept_limit(void **state)
{
	uint64_t last = 100 + BOSH_REPLIES_MAX;

	(void)state;
	begin_with_hold("1");
	for (uint64_t rid = 101; rid <= last; rid++) {
		request_with(rid, " ack='100'", "<x/>");
		server("<i/>");
	}
	buffer_clear(&one.log);
	request_with(101, " ack='100'", "<x/>");
	assert_non_null(memmem(one.log.data, one.log.n, "<i/>", 4));
	request_with(last + 1, " ack='100'", "<x/>");
	server("<i/>");
	buffer_clear(&one.log);
	request_with(102, " ack='100'", "<x/>");
	assert_non_null(memmem(one.log.data, one.log.n, "<i/>", 4));
	buffer_clear(&one.log);
	request_with(101, " ack='100'", "<x/>");
	assert_non_null(memmem(one.log.data, one.log.n, "item-not-found", 14));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ack_announced),     TEST(test_ack_of_requests),
		TEST(test_ack_of_answers),    TEST(test_ack_left_out),
		TEST(test_ack_of_the_future), TEST(test_report),
		TEST(test_report_and_gone),   TEST(test_ack_and_vanished),
		TEST(test_ack_wanted),        TEST(test_ack_backpressure),
		TEST(test_kept_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
