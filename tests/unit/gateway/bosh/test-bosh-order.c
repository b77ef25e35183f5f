/* SPDX-License-Identifier: MIT */
/* Requests that come before their turn. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

static void test_largest_rid(void **state)
{
	struct bosh_body body;

	(void)state;
	read_request(BOSH_RID_MAX - 2, " ver='1.6' hold='1' ack='1'", "", &body);
	assert_int_equal(
		bosh_session_new(&one.limits, "SID", &body, one.n_exchanges, one.now, &one.session),
		0);
	bosh_body_deinit(&body);
	server(FEATURES);
	buffer_clear(&one.log);
	request_with(BOSH_RID_MAX, "", "<b/>");
	request_with(BOSH_RID_MAX - 1, "", "<a/>");
	EXPECT("send <a/>\nsend <b/>\n3: <body " HTTPBIND " ack='9007199254740991'/>\n");
	server("<iq/>");
	EXPECT("2: " BODY("<iq/>") "\n");
	request_with(BOSH_RID_MAX, "", "<b/>");
	EXPECT("4: " BODY("<iq/>") "\n");
}

static void test_out_of_order(void **state)
{
	(void)state;
	begin();
	request_with(102, "", "<b/>");
	EXPECT("");
	request_with(101, "", "<a/>");
	EXPECT("send <a/>\nsend <b/>\n3: " EMPTY "\n");
	/* Each rid gets its own answer. */
	server("<iq/>");
	EXPECT("2: " BODY("<iq/>") "\n");
	/* An early request again: the last one counts. */
	request_with(104, "", "<d/>");
	request_with(104, "", "<d/>");
	EXPECT("4: " DISPLACED "\n");
	request_with(103, "", "<c/>");
	EXPECT("send <c/>\nsend <d/>\n6: " EMPTY "\n");
	server("<iq/>");
	EXPECT("5: " BODY("<iq/>") "\n");
}

static void test_out_of_order_terminate(void **state)
{
	(void)state;
	begin();
	request_with(103, " type='terminate'", "<c/>");
	request_with(102, "", "<b/>");
	EXPECT("");
	request_with(101, "", "<a/>");
	EXPECT("send <a/>\nsend <b/>\n4: " EMPTY "\nsend <c/>\nclose\n3: " GOODBYE "\n2: " EMPTY
	       "\nend\n");
}

/* An early request is a sign of life only once: it keeps an HTTP connection busy, and the session
 * cannot go on with it. */
static void test_early_and_inactive(void **state)
{
	(void)state;
	begin();
	at_ms(10000);
	request(102);
	at_ms(39999);
	EXPECT("");
	at_ms(40000);
	EXPECT("2: " BROKE(INACTIVITY) "\nbounce " FEATURES "\nclose\n" END(INACTIVITY));
}

/* Each waits no longer than `wait`, although answers go in the order of the rids. */
static void test_wait_out_of_order(void **state)
{
	(void)state;
	create(" ver='1.6' hold='2'");
	server(FEATURES);
	buffer_clear(&one.log);
	at_ms(1000);
	request_with(102, "", "<b/>");
	at_ms(25000);
	request_with(101, "", "<a/>");
	EXPECT("send <a/>\nsend <b/>\n");
	at_ms(60999);
	EXPECT("");
	at_ms(61000);
	EXPECT("3: " EMPTY "\n2: " EMPTY "\n");
}

static void test_window(void **state)
{
	/* The next rid is 101, and requests='2'. */
	static const struct {
		uint64_t rid;
		const char *attributes;
		const char *expected;
	} rows[] = {
#define ABOVE "2: " BROKE(RID_WINDOW) "\nclose\n" END(RID_WINDOW)
#define BELOW "2: " BROKE(RESPONSE_DROPPED) "\nclose\n" END(RESPONSE_DROPPED)
		{101, "", ""},
		{102, "", ""},
		{103, "", ABOVE},
		{103, " type='terminate'", ""},
		{104, " type='terminate'", ABOVE},
		{BOSH_RID_MAX, "", ABOVE},
		{99, "", BELOW},
		{1, "", BELOW},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin();
		request_with(rows[i].rid, rows[i].attributes, "");
		EXPECT(rows[i].expected);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void test_window_ends_all(void **state)
{
	(void)state;
	begin();
	request(101);
	request(103);
	EXPECT("");
	request(104);
	EXPECT("4: " BROKE(RID_WINDOW) "\n2: " OTHER(RID_WINDOW) "\n3: " OTHER(
		RID_WINDOW) "\nclose\n" END(RID_WINDOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_largest_rid),
		TEST(test_out_of_order),
		TEST(test_out_of_order_terminate),
		TEST(test_early_and_inactive),
		TEST(test_wait_out_of_order),
		TEST(test_window),
		TEST(test_window_ends_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
