/* SPDX-License-Identifier: MIT */
/*
 * Who pays for what c-ares does: the crowd that asked first.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/upstream/dns/answers.h"
#include "tests/unit/gateway/upstream/dns/resolver-case.h"

enum {
	FIRST = 7,
	SECOND = 8,
	/* What reading one message costs at least. */
	SOME_US = 1,
};

static struct turn turn;

static int setup_turn(void **state)
{
	int r = setup(state);

	resolver_free(dns.resolver);
	turn_init(&turn, &dns.loop);
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){.servers = dns.address,
								 .timeout_ms = LONG_MS,
								 .n_tries = 3,
								 .turn = &turn},
				      &dns.resolver),
			 0);
	return r;
}

static int teardown_turn(void **state)
{
	turn_close(&turn);
	return teardown(state);
}

static uint32_t spent_us(void)
{
	uint32_t us = 0;

	for (size_t i = 0; i < TURN_CROWDS; i++) {
		us += turn.crowds[i].us;
	}
	return us;
}

/* Nobody but @crowd has been charged. */
static void check_only(uint32_t crowd)
{
	assert_in_range(turn.crowds[crowd].us, SOME_US, UINT32_MAX);
	assert_int_equal(turn.crowds[crowd].us, spent_us());
}

static void ask(struct asker *asker, uint32_t crowd, const char *host)
{
	assert_int_equal(resolver_ask_addresses(dns.resolver,
						&(struct resolver_question){
							.name = host, .port = 5222, .crowd = crowd},
						on_addresses, asker, &asker->query),
			 0);
}

/* As many as are used: c-ares sorts them, with a socket for each. */
static bool script_addresses(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE, name, type);
	for (unsigned i = 0; type == DNS_A && i < DNS_ANSWERS_ADDRESSES_MAX; i++) {
		struct dns_data data = {.n = 4, .data = {192, 0, 2, (unsigned char)i}};

		dns_record(message, DNS_ANSWER, name, DNS_A, 60, data);
	}
	return true;
}

/* IPv6 is never answered. */
static bool script_half(const char *name, unsigned type, struct dns_message *message)
{
	return type == DNS_A && script_addresses(name, type, message);
}

static void test_first_pays(void **state)
{
	(void)state;
	dns.script = script_addresses;
	ask(&askers[0], FIRST, "a.example");
	ask(&askers[1], SECOND, "a.example");
	assert_int_equal(spent_us(), 0);
	wait_results(&askers[0], 1);
	wait_results(&askers[1], 1);
	assert_int_equal(askers[0].result, RESOLVER_OK);
	check_only(FIRST);
}

static void test_each_pays(void **state)
{
	(void)state;
	dns.script = script_addresses;
	ask(&askers[0], FIRST, "a.example");
	ask(&askers[1], SECOND, "b.example");
	wait_results(&askers[0], 1);
	wait_results(&askers[1], 1);
	assert_in_range(turn.crowds[FIRST].us, SOME_US, UINT32_MAX);
	assert_in_range(turn.crowds[SECOND].us, SOME_US, UINT32_MAX);
	assert_int_equal(turn.crowds[FIRST].us + turn.crowds[SECOND].us, spent_us());
}

/* A message that does not end the question costs, too. Many, because one may take less than a
 * microsecond. */
static void test_without_end(void **state)
{
	char name[32];

	(void)state;
	dns.script = script_half;
	for (unsigned i = 0; i < ASKERS; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ask(&askers[i], FIRST, name);
		wait_questions(2 * (i + 1));
	}
	while (spent_us() < SOME_US) {
		uv_run(&dns.loop, UV_RUN_ONCE);
	}
	check_only(FIRST);
	assert_int_equal(askers[0].n_results, 0);
}

/* The other kinds of questions. */
static void test_records(void **state)
{
	struct asker *asker = &askers[0];

	(void)state;
	dns.script = script_services;
	for (unsigned i = 0; i < ASKERS / 2; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(
			resolver_ask_srv(dns.resolver,
					 &(struct resolver_question){.name = name, .crowd = FIRST},
					 on_srv, asker, &asker->query),
			0);
		wait_results(asker, i + 1);
	}
	check_only(FIRST);
}

/* Those of the gateway itself. */
static void test_no_crowd(void **state)
{
	(void)state;
	dns.script = script_addresses;
	ask(askers, TURN_NO_CROWD, "a.example");
	wait_results(askers, 1);
	assert_int_equal(spent_us(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_turn, teardown_turn)
	const struct CMUnitTest tests[] = {
		TEST(test_first_pays), TEST(test_each_pays), TEST(test_without_end),
		TEST(test_records),    TEST(test_no_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
