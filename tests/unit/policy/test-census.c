/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "policy/census.h"
#include "tests/unit/failmalloc.h"

static struct address at(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), 1, &address), 0);
	return address;
}

/* The allocations that were live when the last census was made. */
static size_t n_live_empty;

/* The census holds no memory for clients that have left. */
static void check_empty(void)
{
	assert_int_equal(failmalloc_n_live(), n_live_empty);
}

static struct census *made(size_t sessions, size_t per_client, size_t connections)
{
	const struct census_limits limits = {
		.sessions = sessions,
		.sessions_per_client = per_client,
		.connections_per_client = connections,
	};
	struct census *census = NULL;

	assert_int_equal(census_new(&limits, &census), 0);
	n_live_empty = failmalloc_n_live();
	return census;
}

static void test_connections(void **state)
{
	struct census *census = made(9, 9, 2);
	struct address a = at("192.0.2.1");
	struct address a_again = at("192.0.2.1:999");
	struct address b = at("192.0.2.2");

	(void)state;
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a_again, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_E_CLIENT_FULL);
	assert_int_equal(census_enter_connection(census, &b, false), CENSUS_OK);
	/* A refusal has counted nothing. */
	census_leave_connection(census, &a_again);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_E_CLIENT_FULL);
	census_leave_connection(census, &a);
	census_leave_connection(census, &a);
	census_leave_connection(census, &b);
	check_empty();
	assert_int_equal(census_sessions(census), 0);
	assert_null(census_free(census));
}

static void test_sessions(void **state)
{
	struct census *census = made(3, 2, 9);
	struct address a = at("192.0.2.1");
	struct address b = at("192.0.2.2");
	struct address c = at("192.0.2.3");

	(void)state;
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_E_CLIENT_FULL);
	assert_int_equal(census_enter_session(census, &b, false), CENSUS_OK);
	assert_int_equal(census_sessions(census), 3);
	/* A full gateway keeps no entry of a client that it refused. */
	size_t n_live = failmalloc_n_live();

	assert_int_equal(census_enter_session(census, &b, false), CENSUS_E_FULL);
	assert_int_equal(census_enter_session(census, &c, false), CENSUS_E_FULL);
	assert_int_equal(failmalloc_n_live(), n_live);
	/* The client's own limit is checked first, so that a client cannot learn whether the
	 * gateway is full. */
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_E_CLIENT_FULL);
	census_leave_session(census, &a);
	assert_int_equal(census_sessions(census), 2);
	assert_int_equal(census_enter_session(census, &c, false), CENSUS_OK);
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_E_FULL);
	census_leave_session(census, &a);
	census_leave_session(census, &b);
	census_leave_session(census, &c);
	assert_int_equal(census_sessions(census), 0);
	check_empty();
	census_free(census);
}

static void test_the_two_counts_are_apart(void **state)
{
	struct census *census = made(9, 1, 1);
	struct address a = at("192.0.2.1");

	(void)state;
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_E_CLIENT_FULL);
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_E_CLIENT_FULL);
	census_leave_connection(census, &a);
	/* The session keeps the entry, and its own count. */
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_E_CLIENT_FULL);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	census_leave_session(census, &a);
	census_leave_connection(census, &a);
	check_empty();
	census_free(census);
}

static void test_v6_is_counted_by_64(void **state)
{
	struct census *census = made(9, 9, 2);
	struct address first = at("2001:db8:1:2::");
	struct address last = at("2001:db8:1:2:ffff:ffff:ffff:ffff");
	struct address next = at("2001:db8:1:3::");
	struct address before = at("2001:db8:1:1:ffff:ffff:ffff:ffff");
	struct address zero = at("::1");
	struct address v4 = at("0.0.0.1");
	/* An IPv6 address that begins with the four bytes of the IPv4 address before. */
	struct address like_v4 = at("0:1::");

	(void)state;
	assert_int_equal(census_enter_connection(census, &first, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &last, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &first, false), CENSUS_E_CLIENT_FULL);
	assert_int_equal(census_enter_connection(census, &next, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &before, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &zero, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &v4, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &like_v4, false), CENSUS_OK);
	/* Left with another address of the same client. */
	census_leave_connection(census, &last);
	assert_int_equal(census_enter_connection(census, &first, false), CENSUS_OK);
	census_free(census);
}

static void test_every_v4_is_a_client(void **state)
{
	struct census *census = made(9, 9, 1);
	struct address mapped = at("::ffff:192.0.2.1");
	struct address plain = at("192.0.2.1");
	char text[32];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "198.18.%d.%d", i / 256, i % 256);
		struct address address = at(text);

		assert_int_equal(census_enter_connection(census, &address, false), CENSUS_OK);
		assert_int_equal(census_enter_connection(census, &address, false),
				 CENSUS_E_CLIENT_FULL);
	}
	assert_int_equal(census_enter_connection(census, &mapped, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &plain, false), CENSUS_E_CLIENT_FULL);
	census_free(census);
}

static void test_domains(void **state)
{
	struct census *census = made(1, 1, 1);
	char name[] = "a.test";

	(void)state;
	assert_int_equal(census_enter_domain(census, "a.test", 2), CENSUS_OK);
	assert_int_equal(census_enter_domain(census, name, 2), CENSUS_OK);
	assert_int_equal(census_enter_domain(census, "a.test", 2), CENSUS_E_DOMAIN_FULL);
	assert_int_equal(census_enter_domain(census, "b.test", 1), CENSUS_OK);
	assert_int_equal(census_enter_domain(census, "b.test", 1), CENSUS_E_DOMAIN_FULL);
	/* The name was copied, and a refusal has counted nothing. */
	name[0] = 'c';
	census_leave_domain(census, "a.test");
	assert_int_equal(census_enter_domain(census, "a.test", 2), CENSUS_OK);
	assert_int_equal(census_enter_domain(census, "a.test", 2), CENSUS_E_DOMAIN_FULL);
	/* The limit of a name may change when its rule does. */
	assert_int_equal(census_enter_domain(census, "a.test", 3), CENSUS_OK);
	for (int i = 0; i < 3; i++) {
		census_leave_domain(census, "a.test");
	}
	assert_int_equal(census_enter_domain(census, "d.test", 0), CENSUS_E_DOMAIN_FULL);
	/* Domains do not count as sessions. */
	assert_int_equal(census_sessions(census), 0);
	/* Entries that are left are freed with the census. */
	census_free(census);
}

static void test_many_domains(void **state)
{
	struct census *census = made(1, 1, 1);
	char name[32];

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < 5000; i++) {
			(void)snprintf(name, sizeof(name), "%d.test", turn ? i : 4999 - i);
			assert_int_equal(census_enter_domain(census, name, 2), CENSUS_OK);
		}
	}
	assert_int_equal(census_enter_domain(census, "77.test", 2), CENSUS_E_DOMAIN_FULL);
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "%d.test", i % 5000);
		census_leave_domain(census, name);
	}
	check_empty();
	census_free(census);
}

enum {
	N_THREADS = 4,
	N_ROUNDS = 20000,
};

static void *come_and_go(void *argument)
{
	struct census *census = argument;
	struct address a = at("192.0.2.1");

	for (int i = 0; i < N_ROUNDS; i++) {
		if (census_enter_session(census, &a, false) != CENSUS_OK ||
		    census_enter_connection(census, &a, false) != CENSUS_OK ||
		    census_enter_domain(census, "a.test", N_THREADS) != CENSUS_OK) {
			return argument;
		}
		census_leave_domain(census, "a.test");
		census_leave_connection(census, &a);
		census_leave_session(census, &a);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct census *census = made(N_THREADS, N_THREADS, N_THREADS);
	pthread_t threads[N_THREADS];

	(void)state;
	for (size_t i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, census), 0);
	}
	for (size_t i = 0; i < N_THREADS; i++) {
		void *failed = census;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(census_sessions(census), 0);
	check_empty();
	census_free(census);
}

/* A proxy that is one no longer, or has become one, leaves as it came. */
static void test_connections_without_a_limit(void **state)
{
	struct census *census = made(9, 9, 1);
	struct address a = at("192.0.2.1");

	(void)state;
	assert_int_equal(census_enter_connection(census, &a, true), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a, true), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_E_CLIENT_FULL);
	census_leave_connection(census, &a);
	census_leave_connection(census, &a);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	census_leave_connection(census, &a);
	check_empty();
	census_free(census);
}

static void test_limits_are_replaced(void **state)
{
	struct census *census = made(9, 2, 9);
	struct address a = at("192.0.2.1");

	(void)state;
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_OK);
	census_set_limits(census, &(struct census_limits){.sessions = 9, .sessions_per_client = 1});
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_E_CLIENT_FULL);
	/* There are more than the new limit allows, and they stay. */
	assert_int_equal(census_sessions(census), 2);
	census_leave_session(census, &a);
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_E_CLIENT_FULL);
	census_set_limits(census, &(struct census_limits){.sessions = 9, .sessions_per_client = 3});
	assert_int_equal(census_enter_session(census, &a, false), CENSUS_OK);
	census_leave_session(census, &a);
	census_leave_session(census, &a);
	census_free(census);
}

static void test_free_takes_null(void **state)
{
	(void)state;
	assert_null(census_free(NULL));
}

static void test_connections_in_all(void **state)
{
	const struct census_limits limits = {
		.sessions = 9,
		.connections = 3,
		.connections_per_client = 2,
	};
	struct census *census = NULL;
	struct address a = at("192.0.2.1");
	struct address b = at("192.0.2.2");
	struct address c = at("192.0.2.3");

	(void)state;
	assert_int_equal(census_new(&limits, &census), 0);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &b, false), CENSUS_OK);
	assert_int_equal(census_connections(census), 3);
	assert_int_equal(census_enter_connection(census, &b, false), CENSUS_E_FULL);
	assert_int_equal(census_enter_connection(census, &b, true), CENSUS_E_FULL);
	/* Nothing is kept for a client that is refused and has nothing else. */
	size_t n_live = failmalloc_n_live();

	assert_int_equal(census_enter_connection(census, &c, false), CENSUS_E_FULL);
	assert_int_equal(failmalloc_n_live(), n_live);
	census_leave_connection(census, &a);
	assert_int_equal(census_enter_connection(census, &b, false), CENSUS_OK);
	census_leave_connection(census, &a);
	census_leave_connection(census, &b);
	census_leave_connection(census, &b);
	assert_int_equal(census_connections(census), 0);
	assert_int_equal(census_take_most(census), 3);
	assert_int_equal(census_take_most(census), 0);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_OK);
	census_leave_connection(census, &a);
	assert_int_equal(census_take_most(census), 2);
	/* Those who are still there count from the beginning. */
	assert_int_equal(census_take_most(census), 1);
	census_leave_connection(census, &a);
	assert_null(census_free(census));
}

/* What ends at a proxy counts for the client and not in all. */
static void test_forwarded(void **state)
{
	const struct census_limits limits = {
		.sessions = 9,
		.connections = 1,
		.connections_per_client = 2,
	};
	struct census *census = NULL;
	struct address proxy = at("192.0.2.1");
	struct address a = at("192.0.2.2");

	(void)state;
	assert_int_equal(census_new(&limits, &census), 0);
	n_live_empty = failmalloc_n_live();
	assert_int_equal(census_enter_connection(census, &proxy, true), CENSUS_OK);
	assert_int_equal(census_enter_forwarded(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_forwarded(census, &a, false), CENSUS_OK);
	assert_int_equal(census_enter_forwarded(census, &a, false), CENSUS_E_CLIENT_FULL);
	assert_int_equal(census_enter_connection(census, &a, true), CENSUS_E_FULL);
	assert_int_equal(census_connections(census), 1);
	census_leave_forwarded(census, &a);
	census_leave_forwarded(census, &a);
	census_leave_connection(census, &proxy);
	check_empty();
	assert_null(census_free(census));
}

static void test_exempt(void **state)
{
	struct census *census = made(3, 1, 1);
	struct address a = at("192.0.2.1");

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(census_enter_connection(census, &a, true), CENSUS_OK);
		assert_int_equal(census_enter_session(census, &a, true), CENSUS_OK);
	}
	assert_int_equal(census_enter_connection(census, &a, false), CENSUS_E_CLIENT_FULL);
	/* The limit for all holds for all. */
	assert_int_equal(census_enter_session(census, &a, true), CENSUS_E_FULL);
	for (int i = 0; i < 3; i++) {
		census_leave_connection(census, &a);
		census_leave_session(census, &a);
	}
	check_empty();
	assert_null(census_free(census));
}

static int count_one(void *userdata)
{
	const struct census_limits limits = {.sessions = 1, .sessions_per_client = 1};
	const struct address *client = userdata;
	struct census *census;
	int r = census_new(&limits, &census);

	if (r < 0) {
		return r;
	}
	r = census_enter_session(census, client, false);
	if (r == 0) {
		r = census_enter_domain(census, "a.test", 1);
		census_leave_session(census, client);
	}
	if (r == 0) {
		census_leave_domain(census, "a.test");
	}
	census_free(census);
	return r;
}

/* The census, its mutex, the entry of a client with the two parts of its table, and that of a
 * domain. */
static void test_no_memory(void **state)
{
	struct address client = at("192.0.2.1");

	(void)state;
	failmalloc_each(count_one, &client, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_connections_in_all),
		cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_exempt),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_connections_without_a_limit),
		cmocka_unit_test(test_limits_are_replaced),
		cmocka_unit_test(test_the_two_counts_are_apart),
		cmocka_unit_test(test_v6_is_counted_by_64),
		cmocka_unit_test(test_every_v4_is_a_client),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_many_domains),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_free_takes_null),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
