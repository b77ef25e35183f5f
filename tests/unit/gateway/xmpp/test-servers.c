/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/xmpp/servers.h"

enum {
	TIMEOUT_MS = 30000,
	SHARE_MS = TIMEOUT_MS / SERVERS_MAX,
};

static const struct mono start = {1000};
static const struct address address;

static struct failure failure_of(enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	return failure;
}

static int64_t allowed_ms(const struct servers *servers, bool has_others, int64_t after_ms)
{
	struct mono now = mono_add_ms(start, after_ms);

	return mono_diff_ms(servers_deadline(servers, has_others, now), now);
}

static void test_shares(void **state)
{
	struct servers servers;

	(void)state;
	servers_init(&servers, TIMEOUT_MS, false, start);
	assert_int_equal(allowed_ms(&servers, true, 0), SHARE_MS);
	assert_int_equal(allowed_ms(&servers, false, 0), TIMEOUT_MS);
	/* Never more than what is left of the whole time. */
	assert_int_equal(allowed_ms(&servers, true, TIMEOUT_MS - 1), 1);
	assert_int_equal(allowed_ms(&servers, false, TIMEOUT_MS + 5), -5);
	/* The last one that may be tried has the rest. */
	for (unsigned i = 0; i < SERVERS_MAX - 1; i++) {
		assert_int_equal(allowed_ms(&servers, true, 0), SHARE_MS);
		servers_add_tried(&servers, &address);
	}
	assert_int_equal(allowed_ms(&servers, true, 0), TIMEOUT_MS);
}

static void test_redirects(void **state)
{
	const struct failure lost = failure_of(FAILURE_CONNECTION_LOST);
	struct servers servers;

	(void)state;
	servers_init(&servers, TIMEOUT_MS, false, start);
	assert_true(servers_may_try_another(&servers, &lost, false));
	servers.is_slow = true;
	for (unsigned i = 0; i < SERVERS_REDIRECTS_MAX; i++) {
		assert_true(servers_redirect(&servers));
	}
	assert_false(servers_redirect(&servers));
	assert_false(servers.is_slow);
	/* A server that was named is the only place to go. */
	assert_int_equal(allowed_ms(&servers, true, 0), TIMEOUT_MS);
	assert_false(servers_may_try_another(&servers, &lost, false));
	servers_init(&servers, TIMEOUT_MS, true, start);
	assert_false(servers_may_try_another(&servers, &lost, true));
}

static void test_another(void **state)
{
	const struct failure lost = failure_of(FAILURE_CONNECTION_LOST);
	struct servers servers;

	(void)state;
	servers_init(&servers, TIMEOUT_MS, false, start);
	for (unsigned i = 0; i < SERVERS_MAX - 1; i++) {
		assert_true(servers_may_try_another(&servers, &lost, false));
		servers_add_tried(&servers, &address);
	}
	assert_false(servers_may_try_another(&servers, &lost, false));
	/* A slow server is given up only while another one is searched for. */
	servers.is_slow = true;
	assert_true(servers_may_try_another(&servers, &lost, true));
	assert_false(servers_may_try_another(&servers, &lost, false));
}

/* Another server helps only against what the server itself did. */
static void test_blame(void **state)
{
	static const struct {
		enum failure_kind kind;
		bool is_of_server, is_of_tls;
	} cases[] = {
		{FAILURE_TLS_HANDSHAKE, true, true},       {FAILURE_TLS_NOT_OFFERED, true, true},
		{FAILURE_CERTIFICATE_EXPIRED, true, true}, {FAILURE_CERTIFICATE_DANE, true, true},
		{FAILURE_STREAM_CLOSED, true, false},      {FAILURE_STREAM_TIMEOUT, true, false},
		{FAILURE_STREAM_MALFORMED, true, false},   {FAILURE_CONNECTION_LOST, true, false},
		{FAILURE_DNS_FAILED, true, false},         {FAILURE_STREAM_ERROR, false, false},
		{FAILURE_INTERNAL, false, false},          {FAILURE_DOMAIN_REFUSED, false, false},
	};
	struct servers servers;

	(void)state;
	servers_init(&servers, TIMEOUT_MS, false, start);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct failure failure = failure_of(cases[i].kind);

		assert_int_equal(servers_may_try_another(&servers, &failure, false),
				 cases[i].is_of_server);
		assert_int_equal(servers_is_of_tls(&failure), cases[i].is_of_tls);
	}
}

static void test_first_reason_stays(void **state)
{
	const struct failure slow = failure_of(FAILURE_STREAM_TIMEOUT);
	const struct failure lost = failure_of(FAILURE_CONNECTION_LOST);
	struct servers servers;

	(void)state;
	servers_init(&servers, TIMEOUT_MS, false, start);
	servers_note(&servers, &slow);
	servers_note(&servers, &lost);
	assert_int_equal(servers.first.kind, FAILURE_STREAM_TIMEOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_redirects),
		cmocka_unit_test(test_another),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_first_reason_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
