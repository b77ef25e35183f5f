/* SPDX-License-Identifier: MIT */
/* Many addresses, over TCP and in datagrams: how many are taken, and who pays for them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/upstream/dns/resolver-tcp-case.h"

/* More addresses of each family than are looked at. */
static bool script_addresses(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE, name, type);
	for (unsigned i = 0; i < 2 * DNS_ANSWERS_ADDRESSES_MAX; i++) {
		struct dns_data data = {.n = 4, .data = {192, 0, 2, (unsigned char)i}};

		if (type == DNS_AAAA) {
			data = (struct dns_data){
				.n = 16, .data = {0x20, 1, 0x0d, 0xb8, [15] = (unsigned char)i}};
		}
		dns_record(message, DNS_ANSWER, name, type, 60, data);
	}
	return true;
}

/* Any number of truncated answers at once: each question gets its answer on a connection of its
 * own. */
static void test_answers(void **state)
{
	enum { N = 20 };
	char name[32];

	(void)state;
	tcp.script = script_tlsa;
	for (size_t i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "h%zu.example", i);
		ask_tlsa(&askers[i], name, 5222);
	}
	for (size_t i = 0; i < N; i++) {
		wait_results(&askers[i], 1);
		assert_int_equal(askers[i].result, RESOLVER_OK);
	}
	assert_int_equal(tcp.n_peers, N);
}

/* c-ares takes a socket for each address, to sort them. */
static void check_sockets(void)
{
	n_sockets = 0;
	/* A short name: c-ares would ask again over TCP if a datagram had more than 512 octets. */
	ask_addresses(askers, "a", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->n_addresses, RESOLVER_ADDRESSES_MAX);
	assert_in_range(n_sockets, 2 * DNS_ANSWERS_ADDRESSES_MAX,
			2 * DNS_ANSWERS_ADDRESSES_MAX + 10);
}

static void test_many_addresses(void **state)
{
	(void)state;
	tcp.script = script_addresses;
	tcp.is_whole = true;
	check_sockets();
}

static void test_many_addresses_in_datagrams(void **state)
{
	(void)state;
	dns.script = script_addresses;
	check_sockets();
}

/* The addresses that are used are there: what follows is not read. */
static void test_rest_is_not_awaited(void **state)
{
	(void)state;
	tcp.script = script_addresses;
	tcp.is_whole = true;
	tcp.is_begun = true;
	check_sockets();
}

/* Who asks pays for the exchanges, and for what c-ares does with their answers. */
static void test_charge(void **state)
{
	static struct turn turn;
	const uint32_t crowd = 7;

	(void)state;
	resolver_free(dns.resolver);
	turn_init(&turn, &dns.loop);
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){.servers = dns.address,
								 .timeout_ms = LONG_MS,
								 .n_tries = 1,
								 .turn = &turn},
				      &dns.resolver),
			 0);
	tcp.script = script_addresses;
	assert_int_equal(resolver_ask_addresses(dns.resolver,
						&(struct resolver_question){.name = "a.example",
									    .port = 5222,
									    .crowd = crowd},
						on_addresses, askers, &askers->query),
			 0);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	for (size_t i = 0; i < TURN_CROWDS; i++) {
		assert_int_equal(turn.crowds[i].us > 0, i == crowd);
	}
	turn_close(&turn);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_tcp, teardown_tcp)
	const struct CMUnitTest tests[] = {
		TEST(test_answers),
		TEST(test_many_addresses),
		TEST(test_many_addresses_in_datagrams),
		TEST(test_charge),
		TEST(test_rest_is_not_awaited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
