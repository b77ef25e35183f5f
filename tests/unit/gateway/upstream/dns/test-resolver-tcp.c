/* SPDX-License-Identifier: MIT */
/*
 * A resolver whose answers are truncated: it asks again over TCP, on a connection for each
 * question. The DNS server truncates all answers over UDP; the test decides what it does over TCP.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/dns/resolver-tcp-case.h"

/* Single octets, then the rest; one question over UDP and one over TCP. */
static void test_answer(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->tlsa.n_records, TLSA_RECORDS_MAX);
	assert_int_equal(askers->tlsa.records[TLSA_RECORDS_MAX - 1].data[63], TLSA_RECORDS_MAX - 1);
	assert_int_equal(dns.n_questions, 1);
	assert_int_equal(tcp.n_peers, 1);
	/* It is the same question. */
	assert_memory_equal(tcp.peers->question + 2 + 2, dns.packet + 2,
			    tcp.peers->n_question - 2 - 2);
}

/* A wake that was interrupted is made all the same, and taken: otherwise the answer would not be
 * read, or the loop would be woken for ever. */
static void test_interrupted_wakes(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	interrupted.n_writes = interrupted.n_reads = 1;
	n_wakes_taken = 0;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(interrupted.n_writes + interrupted.n_reads, 0);
	assert_int_equal(n_wakes_taken, 1);
}

/* c-ares would take that for a broken connection: all that were sent on it would lose a try. */
static void test_interrupted_datagrams(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	interrupted.n_sent = interrupted.n_received = 1;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(dns.n_questions, 1);
	assert_int_equal(interrupted.n_sent + interrupted.n_received, 0);
}

/* An answer to another question ends the exchange; c-ares alone would wait for another one. */
static void test_other_answer(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	tcp.is_other = true;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_FAILED);
}

/* Until @n questions have come over TCP. */
static void wait_peers(size_t n)
{
	while (tcp.n_peers < n || tcp.peers[n - 1].n_question == 0) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
}

/* The time of an exchange passes while the thread is busy with something else. What has arrived
 * meanwhile counts. */
static void test_late_thread(void **state)
{
	int fd, n_left;

	(void)state;
	tcp.script = script_tlsa;
	tcp.is_whole = true;
	ask_tlsa(askers, "a.example", 5222);
	while (tcp.peers->n_answer == 0) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(askers->n_results, 0);
	/* The loop does not run until the kernel has passed the answer on. */
	assert_int_equal(uv_fileno((uv_handle_t *)&tcp.peers->stream, &fd), 0);
	do {
		assert_int_equal(ioctl(fd, SIOCOUTQ, &n_left), 0);
	} while (n_left);
	start_timer(exchange_timer, on_exchange_timer, 0, 0);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
}

/* The time passes, and nothing has arrived. */
static void test_no_answer(void **state)
{
	(void)state;
	ask_tlsa(askers, "a.example", 5222);
	wait_peers(1);
	start_timer(exchange_timer, on_exchange_timer, 0, 0);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_FAILED);
}

/* The maximum of exchanges without answers. One more makes the oldest fail, and no other. */
static void test_bound(void **state)
{
	char name[32];

	(void)state;
	for (size_t i = 0; i < ARES_TCP_EXCHANGES_MAX; i++) {
		snprintf(name, sizeof(name), "h%zu.example", i);
		ask_tlsa(&askers[i], name, 5222);
		wait_peers(i + 1);
	}
	for (size_t i = 0; i < ARES_TCP_EXCHANGES_MAX; i++) {
		assert_int_equal(askers[i].n_results, 0);
	}
	tcp.script = script_tlsa;
	ask_tlsa(&askers[ARES_TCP_EXCHANGES_MAX], "one-more.example", 5222);
	wait_results(&askers[ARES_TCP_EXCHANGES_MAX], 1);
	assert_int_equal(askers[ARES_TCP_EXCHANGES_MAX].result, RESOLVER_OK);
	wait_results(&askers[0], 1);
	assert_int_equal(askers[0].result, RESOLVER_FAILED);
	for (size_t i = 1; i < ARES_TCP_EXCHANGES_MAX; i++) {
		assert_int_equal(askers[i].n_results, 0);
	}
}

/* The resolver is freed while exchanges are under way: before they are connected, and after the
 * question has arrived. */
static void test_freeing(void **state)
{
	(void)state;
	ask_tlsa(askers, "a.example", 5222);
	wait_peers(1);
	ask_tlsa(&askers[1], "b.example", 5222);
	wait_questions(2);
	dns.resolver = resolver_free(dns.resolver);
	while (tcp.peers->is_open) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(askers[0].n_results + askers[1].n_results, 0);
}

static int scenario(void *userdata)
{
	struct resolver_options options = {
		.servers = dns.address, .timeout_ms = TRY_MS, .n_tries = 1};
	struct asker *asker = userdata;
	int r = resolver_new(&dns.loop, &options, &dns.resolver);

	tcp.n_peers = 0;
	asker->query = NULL;
	asker->n_results = 0;
	if (r == 0) {
		r = resolver_ask_tlsa(dns.resolver,
				      &(struct resolver_question){.name = "a.example",
								  .port = 5222,
								  .crowd = TURN_NO_CROWD},
				      on_tlsa, asker, &asker->query);
	}
	while (r == 0 && asker->n_results == 0) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	r = r < 0 ? r : judge_without_memory(asker);
	dns.resolver = resolver_free(dns.resolver);
	/* Its handles, and the server's end, close at the next turn of the loop. */
	while (tcp.n_peers && tcp.peers->is_open) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	dns.resolver = resolver_free(dns.resolver);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	tcp.script = script_tlsa;
	tcp.is_whole = true;
	/* Besides the resolver: a stand-in, its query, an exchange, its answer, and the answers to
	 * read. */
	failmalloc_each(scenario, askers, 12);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_tcp, teardown_tcp)
	const struct CMUnitTest tests[] = {
		TEST(test_answer),
		TEST(test_other_answer),
		TEST(test_late_thread),
		TEST(test_no_answer),
		TEST(test_bound),
		TEST(test_freeing),
		TEST(test_no_memory),
		TEST(test_interrupted_wakes),
		TEST(test_interrupted_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
