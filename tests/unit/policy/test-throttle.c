/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/unit/failmalloc.h"
#include "policy/throttle.h"

static const struct throttle_limits limits = {
	.connections = {4, 10},
	.sessions = {3, 10},
	.domain_sessions = {8, 1},
	.client_failed_logins = {5, 100},
	.domain_failed_logins = {12, 120},
};

static const struct throttle_limits none = {0};

static struct throttle *throttle;

static int set_up(void **state)
{
	(void)state;
	return throttle_new(&throttle);
}

static int tear_down(void **state)
{
	(void)state;
	throttle = throttle_free(throttle);
	return 0;
}

/* The @i-th of many clients. */
static struct address client_of(unsigned i)
{
	struct address address;
	char text[64];

	snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
	assert_int_equal(address_parse(sv_from(text), 1, &address), 0);
	return address;
}

static enum throttle_result fail_login(unsigned i, struct sv domain, int64_t ms)
{
	const struct address client = client_of(i);

	return throttle_login_failed(throttle, &limits, &client, domain, (struct mono){ms});
}

static enum throttle_result try_login(unsigned i, struct sv domain, int64_t ms)
{
	const struct address client = client_of(i);

	return throttle_login(throttle, &limits, &client, domain, (struct mono){ms});
}

static enum throttle_result open_session(unsigned i, struct sv domain, int64_t ms)
{
	const struct address client = client_of(i);

	return throttle_session(throttle, &limits, &client, false, domain, (struct mono){ms});
}

static void test_connections(void **state)
{
	const struct address a = client_of(1);
	const struct address b = client_of(2);

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(throttle_connection(throttle, &limits, &a, (struct mono){0}),
				 THROTTLE_OK);
	}
	assert_int_equal(throttle_connection(throttle, &limits, &a, (struct mono){0}),
			 THROTTLE_E_CLIENT);
	assert_int_equal(throttle_connection(throttle, &limits, &b, (struct mono){0}), THROTTLE_OK);
	assert_int_equal(throttle_connection(throttle, &limits, &a, (struct mono){2500}),
			 THROTTLE_OK);
	assert_int_equal(throttle_connection(throttle, &limits, &a, (struct mono){2500}),
			 THROTTLE_E_CLIENT);
}

static void test_sessions_of_a_client(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(open_session(1, i ? SV("a.org") : SV("b.org"), 0), THROTTLE_OK);
	}
	assert_int_equal(open_session(1, SV("c.org"), 0), THROTTLE_E_CLIENT);
	assert_int_equal(open_session(2, SV("a.org"), 0), THROTTLE_OK);
	assert_int_equal(open_session(1, SV("a.org"), 10000), THROTTLE_OK);
}

static void test_sessions_to_a_domain(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(open_session(i, SV("a.org"), 0), THROTTLE_OK);
	}
	/* A refused session takes no token of its client. */
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(open_session(100, SV("a.org"), 0), THROTTLE_E_DOMAIN);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(open_session(100, SV("b.org"), 0), THROTTLE_OK);
	}
	assert_int_equal(open_session(101, SV("a.org"), 1000), THROTTLE_OK);
}

static void test_exempt(void **state)
{
	const struct address client = client_of(1);

	(void)state;
	for (int i = 0; i < 6; i++) {
		(void)!fail_login(1, SV("a.org"), 0);
	}
	for (int i = 0; i < 8; i++) {
		assert_int_equal(throttle_session(throttle, &limits, &client, true, SV("a.org"),
						  (struct mono){0}),
				 THROTTLE_OK);
	}
	/* The target's limit is about all clients together. */
	assert_int_equal(
		throttle_session(throttle, &limits, &client, true, SV("a.org"), (struct mono){0}),
		THROTTLE_E_DOMAIN);
}

static void test_failed_logins_of_a_client(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(fail_login(1, SV("a.org"), 0), THROTTLE_OK);
		assert_int_equal(try_login(1, SV("a.org"), 0), THROTTLE_OK);
	}
	assert_int_equal(fail_login(1, SV("a.org"), 0), THROTTLE_E_CLIENT_LOGINS);
	assert_int_equal(try_login(1, SV("a.org"), 0), THROTTLE_E_CLIENT_LOGINS);
	assert_int_equal(open_session(1, SV("a.org"), 0), THROTTLE_E_CLIENT_LOGINS);
	/* Nobody else notices. */
	assert_int_equal(open_session(2, SV("a.org"), 0), THROTTLE_OK);
	assert_int_equal(open_session(1, SV("b.org"), 0), THROTTLE_OK);
	/* One more guess after a fifth of the time, and then none. */
	assert_int_equal(open_session(1, SV("a.org"), 19999), THROTTLE_E_CLIENT_LOGINS);
	assert_int_equal(open_session(1, SV("a.org"), 20000), THROTTLE_OK);
	assert_int_equal(fail_login(1, SV("a.org"), 20000), THROTTLE_E_CLIENT_LOGINS);
}

static void test_success_fills_nothing(void **state)
{
	const struct address client = client_of(1);

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(fail_login(1, SV("a.org"), 0), THROTTLE_OK);
		throttle_login_succeeded(throttle, &client, SV("a.org"), (struct mono){0});
	}
	assert_int_equal(fail_login(1, SV("a.org"), 0), THROTTLE_E_CLIENT_LOGINS);
}

/* One guesser, however eager, locks out nobody but itself. */
static void test_one_guesser(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		(void)!fail_login(1, SV("a.org"), 0);
	}
	assert_int_equal(try_login(2, SV("a.org"), 0), THROTTLE_OK);
	assert_int_equal(open_session(2, SV("a.org"), 0), THROTTLE_OK);
	/* Not for ever: it waits for a whole bucket of debt, and the token. */
	assert_int_equal(try_login(1, SV("a.org"), 119999), THROTTLE_E_CLIENT_LOGINS);
	assert_int_equal(try_login(1, SV("a.org"), 120000), THROTTLE_OK);
}

/* Guesses from many addresses: each has tokens of its own, the domain has none. */
static void test_many_guessers(void **state)
{
	const struct address user = client_of(5000);

	(void)state;
	throttle_login_succeeded(throttle, &user, SV("a.org"), (struct mono){0});
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(fail_login(i, SV("a.org"), 0), THROTTLE_OK);
	}
	assert_int_equal(fail_login(11, SV("a.org"), 0), THROTTLE_E_DOMAIN_LOGINS);
	assert_int_equal(open_session(12, SV("a.org"), 0), THROTTLE_E_DOMAIN_LOGINS);
	assert_int_equal(open_session(12, SV("b.org"), 0), THROTTLE_OK);
	/* Whoever has logged in before is served, and may mistype. */
	assert_int_equal(open_session(5000, SV("a.org"), 0), THROTTLE_OK);
	assert_int_equal(fail_login(5000, SV("a.org"), 0), THROTTLE_OK);
	/* A new user gets in as soon as there is a token. That failure was one more. */
	assert_int_equal(open_session(5001, SV("a.org"), 19999), THROTTLE_E_DOMAIN_LOGINS);
	assert_int_equal(open_session(5001, SV("a.org"), 20000), THROTTLE_OK);
	assert_int_equal(fail_login(5001, SV("a.org"), 20000), THROTTLE_E_DOMAIN_LOGINS);
}

static void test_known_for_a_week(void **state)
{
	const int64_t week_ms = INT64_C(1000) * THROTTLE_KNOWN_S;
	const struct address user = client_of(5000);

	(void)state;
	throttle_login_succeeded(throttle, &user, SV("a.org"), (struct mono){0});
	for (unsigned i = 0; i < 20; i++) {
		(void)!fail_login(i, SV("a.org"), week_ms - 1);
	}
	assert_int_equal(try_login(5000, SV("a.org"), week_ms - 1), THROTTLE_OK);
	assert_int_equal(try_login(5000, SV("a.org"), week_ms), THROTTLE_E_DOMAIN_LOGINS);
}

static void test_no_limits(void **state)
{
	const struct address client = client_of(1);
	const struct mono now = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(throttle_connection(throttle, &none, &client, now), THROTTLE_OK);
		assert_int_equal(throttle_session(throttle, &none, &client, false, SV("a"), now),
				 THROTTLE_OK);
		assert_int_equal(throttle_login_failed(throttle, &none, &client, SV("a"), now),
				 THROTTLE_OK);
	}
}

static void test_warnings(void **state)
{
	const struct address a = client_of(1);
	const struct address b = client_of(2);
	const int64_t day_ms = INT64_C(24) * 3600 * 1000;

	(void)state;
	assert_true(throttle_warning(throttle, &a, (struct mono){0}));
	assert_false(throttle_warning(throttle, &a, (struct mono){day_ms - 1}));
	assert_true(throttle_warning(throttle, &b, (struct mono){day_ms - 1}));
	assert_true(throttle_warning(throttle, &a, (struct mono){day_ms}));
}

static void test_many_warnings(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= 20; i++) {
		const struct address client = client_of(i);

		assert_int_equal(throttle_warning(throttle, &client, (struct mono){0}), i < 20);
	}
}

enum {
	N_THREADS = 4,
	N_TOKENS = 60000,
};

static const struct throttle_limits shared = {
	.connections = {N_TOKENS, 3600},
	.sessions = {N_TOKENS, 3600},
	.client_failed_logins = {N_TOKENS, 3600},
};

struct worker {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct address client;
	size_t n_connections, n_sessions, n_logins, n_warnings;
};

static void *work(void *argument)
{
	const struct mono now = {0};
	struct worker *worker = argument;
	const struct address *client = &worker->client;

	pthread_barrier_wait(worker->barrier);
	for (int i = 0; i < N_TOKENS; i++) {
		worker->n_connections +=
			throttle_connection(throttle, &shared, client, now) == THROTTLE_OK;
		worker->n_sessions += throttle_session(throttle, &shared, client, false, SV("a"),
						       now) == THROTTLE_OK;
		worker->n_logins += throttle_login_failed(throttle, &shared, client, SV("b"),
							  now) == THROTTLE_OK;
		worker->n_warnings += throttle_warning(throttle, client, now);
		throttle_login_succeeded(throttle, client, SV("b"), now);
		(void)!throttle_login(throttle, &shared, client, SV("b"), now);
	}
	return NULL;
}

/* Each token of a client is taken once, although several workers ask at the same time. */
static void test_threads(void **state)
{
	struct worker workers[N_THREADS] = {0}, all = {0};
	pthread_barrier_t barrier;

	(void)state;
	assert_int_equal(pthread_barrier_init(&barrier, NULL, N_THREADS), 0);
	for (size_t i = 0; i < N_THREADS; i++) {
		workers[i].barrier = &barrier;
		workers[i].client = client_of(1);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		all.n_connections += workers[i].n_connections;
		all.n_sessions += workers[i].n_sessions;
		all.n_logins += workers[i].n_logins;
		all.n_warnings += workers[i].n_warnings;
	}
	pthread_barrier_destroy(&barrier);
	assert_int_equal(all.n_connections, N_TOKENS);
	assert_int_equal(all.n_sessions, N_TOKENS);
	/* The last one leaves no token. */
	assert_int_equal(all.n_logins, N_TOKENS - 1);
	assert_int_equal(all.n_warnings, 1);
}

static int make(void *userdata)
{
	struct throttle *one;
	int r = throttle_new(&one);

	(void)userdata;
	if (r == 0) {
		throttle_free(one);
	}
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(make, NULL, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_connections, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sessions_of_a_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sessions_to_a_domain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exempt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failed_logins_of_a_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_success_fills_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_guesser, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_guessers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_known_for_a_week, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_warnings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_warnings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
