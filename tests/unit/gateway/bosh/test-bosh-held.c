/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/bosh/bosh-case.h"

enum {
	N_TEXT = 3000,
	/* The features, which are kept for a repeat of the creation request. */
	N_FEATURES = sizeof(FEATURES) - 1,
};

static char payload[N_TEXT + 1];

static void make_payload(void)
{
	memset(payload, 'x', N_TEXT);
	memcpy(payload, "<a>", strlen("<a>"));
	memcpy(payload + N_TEXT - strlen("</a>"), "</a>", strlen("</a>"));
}

static size_t held(void)
{
	return bosh_session_held(one.session);
}

static void test_nothing(void **state)
{
	(void)state;
	begin();
	assert_int_equal(held(), N_FEATURES);
	request(101);
	assert_int_equal(held(), N_FEATURES);
}

static void test_early_request(void **state)
{
	(void)state;
	make_payload();
	begin();
	request_with(102, "", payload);
	assert_in_range(held(), N_FEATURES + N_TEXT, N_FEATURES + 4 * N_TEXT);
	request(101);
	assert_in_range(held(), 0, N_FEATURES);
}

static void test_payloads_that_wait_for_the_features(void **state)
{
	(void)state;
	make_payload();
	create(" ver='1.6' hold='2'");
	request_with(101, "", payload);
	assert_in_range(held(), N_TEXT, 4 * N_TEXT);
	server(FEATURES);
	/* Sent; the features are kept for a repeat. */
	assert_in_range(held(), 0, N_TEXT - 1);
}

static void test_what_the_server_sends(void **state)
{
	(void)state;
	make_payload();
	begin();
	server(payload);
	assert_in_range(held(), N_TEXT, 4 * N_TEXT);
	/* Delivered, and kept for a repeat until the client goes on. */
	request(101);
	assert_in_range(held(), N_TEXT, 4 * N_TEXT);
	for (uint64_t rid = 102; rid < 106; rid++) {
		one.now.ms += 5000;
		request_with(rid, "", "<b/>");
	}
	assert_int_equal(held(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing),
		TEST(test_early_request),
		TEST(test_payloads_that_wait_for_the_features),
		TEST(test_what_the_server_sends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
