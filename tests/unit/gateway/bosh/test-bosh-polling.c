/* SPDX-License-Identifier: MIT */
/* Clients that ask often. test-bosh-session.c lists the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

static void test_polling(void **state)
{
	static const char *const attributes[] = {" ver='1.6' wait='0' hold='1'",
						 " ver='1.6' wait='60' hold='0'",
						 " ver='1.6' wait='0' hold='0'"};

	for (size_t i = 0; i < ARRAY_LENGTH(attributes); i++) {
		/* No request waits, not even for the features. */
		create(attributes[i]);
		EXPECT("1: " CREATED("0", "0", "1", "62") "/>\n");
		at_ms(3000);
		request(101);
		EXPECT("2: " EMPTY "\n");
		server(FEATURES);
		EXPECT("");
		at_ms(6000);
		request_with(102, "", "<iq/>");
		EXPECT("send <iq/>\n3: <body " HTTPBIND " " STREAM ">" FEATURES "</body>\n");
		request(102);
		EXPECT("4: <body " HTTPBIND " " STREAM ">" FEATURES "</body>\n");
		at_ms(67999);
		EXPECT("");
		at_ms(68000);
		EXPECT("bounce " FEATURES "\nclose\n" END(INACTIVITY));
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void test_polling_often(void **state)
{
	static const struct {
		const char *first, *server;
		int64_t later_ms;
		bool refused;
	} rows[] = {
		{"", "", 1999, true},
		{"", "", 2000, false},
		{"<iq/>", "", 1, false}, /* the first was not empty */
		{"", "<iq/>", 1, false}, /* the first was told something */
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		create(" ver='1.6' wait='60' hold='0'");
		at_ms(5000);
		server(FEATURES);
		request(101);
		server(rows[i].server);
		at_ms(10000);
		request_with(102, "", rows[i].first);
		buffer_clear(&one.log);
		at_ms(10000 + rows[i].later_ms);
		request(103);
		if (rows[i].refused) {
			EXPECT("4: " BROKE(POLLING_TOO_OFTEN) "\nclose\n" END(POLLING_TOO_OFTEN));
		} else {
			EXPECT("4: " EMPTY "\n");
		}
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void test_overactivity(void **state)
{
	(void)state;
	begin();
	congest(true);
	request(101);
	request_with(102, "", "<iq/>");
	EXPECT("send <iq/>\n");
	request_with(103, "", "<message/>");
	EXPECT("4: " BROKE(TOO_MANY_REQUESTS) "\n2: " OTHER(TOO_MANY_REQUESTS) "\n3: " OTHER(
		TOO_MANY_REQUESTS) "\nclose\n" END(TOO_MANY_REQUESTS));
}

static void test_overactivity_of_polls(void **state)
{
	static const struct {
		const char *first, *second;
		int64_t later_ms;
		bool refused;
	} rows[] = {
		{"", "", 1999, true},
		{"<a/>", "", 0, false},
		{"", "", 2000, false},
		{"", "<a/>", 0, false},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin();
		request_with(101, "", rows[i].first);
		buffer_clear(&one.log);
		at_ms(rows[i].later_ms);
		request_with(102, "", rows[i].second);
		at_ms(one.now.ms + BOSH_VERDICT_MS);
		assert_int_equal(memmem(one.log.data, one.log.n, "policy-violation", 16) != NULL,
				 rows[i].refused);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
	/* With fewer than `requests` under way the client may be as quick as it likes. A request
	 * whose connection broke is not under way. */
	begin();
	for (uint64_t rid = 101; rid < 105; rid++) {
		request(rid);
		server("<iq/>");
	}
	request(105);
	gone(one.n_exchanges);
	buffer_clear(&one.log);
	request(106);
	EXPECT("");
}

/* A request that came out of order counts from when it came: these are fifteen seconds apart. */
static void test_order_is_no_overactivity(void **state)
{
	(void)state;
	begin();
	at_ms(5000);
	request(102);
	at_ms(20000);
	request(101);
	EXPECT("3: " EMPTY "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_polling),
		TEST(test_polling_often),
		TEST(test_overactivity),
		TEST(test_overactivity_of_polls),
		TEST(test_order_is_no_overactivity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
