/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/upstream/dns/lookups.h"
#include "tests/unit/clock.h"
#include "tests/unit/colliding.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/dns/resolver-case.h"

/*
 * How much strangers can make a resolver ask at the same time. The clock is the test's, but for the
 * time-outs of c-ares.
 */

enum {
	/* So many questions find room in the sockets of both sides. */
	UNREAD_MAX = 100,
};

/* Asks for @name on behalf of @crowd, and leaves, which does not end the question. Returns what the
 * question came to. */
static int ask_for(uint32_t crowd, const char *name)
{
	struct resolver_query *query = NULL;
	int r = resolver_ask_tlsa(
		dns.resolver, &(struct resolver_question){.name = name, .port = 1, .crowd = crowd},
		on_tlsa, askers, &query);

	resolver_query_cancel(query);
	return r;
}

/* Likewise for @n names. If all could be asked for, the server has read the questions. */
static int ask_many_for(uint32_t crowd, unsigned n)
{
	static unsigned n_names;
	size_t n_before = dns.n_questions;

	for (unsigned i = 1; i <= n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "c%u.example", n_names++);
		int r = ask_for(crowd, name);

		if (r != RESOLVER_ASKED) {
			return r;
		}
		if (i % UNREAD_MAX == 0 || i == n) {
			wait_questions(n_before + i);
		}
	}
	return RESOLVER_ASKED;
}

static void test_bound(void **state)
{
	struct resolver_query *query = NULL;

	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	dns.script = script_silent;
	assert_int_equal(ask_for(TURN_NO_CROWD, "first.example"), RESOLVER_ASKED);
	assert_int_equal(ask_many_for(TURN_NO_CROWD, LOOKUPS_MAX - 1), RESOLVER_ASKED);
	assert_int_equal(ask_for(TURN_NO_CROWD, "more.example"), RESOLVER_E_BUSY);
	assert_int_equal(resolver_ask_srv(dns.resolver,
					  &(struct resolver_question){.name = "more.example",
								      .crowd = TURN_NO_CROWD},
					  on_srv, askers, &query),
			 RESOLVER_E_BUSY);
	/* A cached reply, or a question under way, needs no new question. */
	ask_srv(askers, "a.example");
	wait_results(askers, 2);
	ask_tlsa(askers, "first.example", 1);
	cancel(askers);
}

/* One more question is allowed: the first service is asked for, the second is not, and nothing is
 * left of the query. */
static void test_bound_between_services(void **state)
{
	struct resolver_query *query = NULL;

	(void)state;
	dns.script = script_silent;
	assert_int_equal(ask_many_for(TURN_NO_CROWD, LOOKUPS_MAX - 1), RESOLVER_ASKED);
	assert_int_equal(resolver_ask_srv(dns.resolver,
					  &(struct resolver_question){.name = "a.example",
								      .crowd = TURN_NO_CROWD},
					  on_srv, askers, &query),
			 RESOLVER_E_BUSY);
	assert_null(query);
	wait_questions(LOOKUPS_MAX);
	resolver_free(dns.resolver);
	start_resolver(LONG_MS, 3);
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
}

/* Clients ask for domains that nobody answers for, and leave at once. */
static void test_bound_of_a_crowd(void **state)
{
	uint32_t one = 7, other = 8;

	(void)state;
	dns.script = script_silent;
	assert_int_equal(ask_many_for(one, LOOKUPS_CROWD_MAX - 1), RESOLVER_ASKED);
	assert_int_equal(ask_for(one, "last.example"), RESOLVER_ASKED);
	assert_int_equal(ask_for(one, "more.example"), RESOLVER_E_CROWD);
	/* A number of the same crowd. */
	assert_int_equal(ask_for(one + TURN_CROWDS, "more.example"), RESOLVER_E_CROWD);
	/* What is under way already may be waited for. */
	assert_int_equal(ask_for(one, "last.example"), RESOLVER_ASKED);
	assert_int_equal(ask_many_for(other, LOOKUPS_CROWD_MAX), RESOLVER_ASKED);
	assert_int_equal(ask_many_for(other, 1), RESOLVER_E_CROWD);
	/* Who is in no crowd has no bound but that of all. */
	assert_int_equal(ask_many_for(TURN_NO_CROWD, LOOKUPS_MAX - 2 * LOOKUPS_CROWD_MAX),
			 RESOLVER_ASKED);
	assert_int_equal(ask_many_for(TURN_NO_CROWD, 1), RESOLVER_E_BUSY);
	assert_int_equal(ask_many_for(other + 1, 1), RESOLVER_E_BUSY);
}

/* An answer leaves room for another question. */
static void test_crowd_goes_on(void **state)
{
	(void)state;
	dns.script = script_silent;
	assert_int_equal(ask_many_for(7, LOOKUPS_CROWD_MAX - 1), RESOLVER_ASKED);
	dns.script = script_nothing;
	assert_int_equal(resolver_ask_tlsa(dns.resolver,
					   &(struct resolver_question){
						   .name = "a.example", .port = 1, .crowd = 7},
					   on_tlsa, askers, &askers->query),
			 RESOLVER_ASKED);
	assert_int_equal(ask_for(7, "b.example"), RESOLVER_E_CROWD);
	wait_results(askers, 1);
	assert_int_equal(ask_for(7, "b.example"), RESOLVER_ASKED);
	assert_int_equal(ask_for(7, "c.example"), RESOLVER_E_CROWD);
}

/* A question whose first try has taken too long is asked again, but not for a full crowd. */
static void test_crowd_renews(void **state)
{
	(void)state;
	dns.script = script_silent;
	assert_int_equal(ask_many_for(7, LOOKUPS_CROWD_MAX - 1), RESOLVER_ASKED);
	assert_int_equal(ask_for(7, "a.example"), RESOLVER_ASKED);
	wait_questions(LOOKUPS_CROWD_MAX);
	size_t n_questions = dns.n_questions;

	clock_pass_us(LONG_MS * 1000);
	assert_int_equal(ask_for(7, "a.example"), RESOLVER_ASKED);
	read_questions();
	assert_int_equal(dns.n_questions, n_questions);
	assert_int_equal(ask_for(8, "a.example"), RESOLVER_ASKED);
	wait_questions(n_questions + 1);
}

static size_t make_name(unsigned n, char key[COLLIDING_KEY_SIZE])
{
	/* What resolver_ask_tlsa() makes of a name. */
	return colliding_name("_1._tcp.", n, key);
}

static void ask_name(void *userdata, const char *name)
{
	struct resolver_query *query = NULL;

	assert_int_equal(
		resolver_ask_tlsa(dns.resolver,
				  &(struct resolver_question){.name = name + strlen("_1._tcp."),
							      .port = 1,
							      .crowd = TURN_NO_CROWD},
				  on_tlsa, userdata, &query),
		0);
	resolver_query_cancel(query);
}

/* Clients choose the names that are asked for, and their servers need not answer. */
static void test_names_that_collide(void **state)
{
	(void)state;
	dns.script = script_silent;
	failmalloc_take_largest();
	colliding_each(make_name, ask_name, askers);
	assert_in_range(failmalloc_take_largest(), 1, COLLIDING_BLOCK_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_bound),
		TEST(test_bound_between_services),
		TEST(test_bound_of_a_crowd),
		TEST(test_crowd_goes_on),
		TEST(test_crowd_renews),
		TEST(test_names_that_collide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
