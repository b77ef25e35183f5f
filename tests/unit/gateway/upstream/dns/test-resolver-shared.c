/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/upstream/dns/lookups.h"
#include "gateway/upstream/observer.h"
#include "tests/unit/clock.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/dns/resolver-case.h"

/*
 * Many queries, cancelled queries, and a resolver that is freed meanwhile. The clock is the test's,
 * but for the time-outs of c-ares and the grace period.
 */

enum {
	/* Of a first try, where its time-out is waited for. */
	PATIENCE_MS = 300,
	/* More than the resolver delivers in one iteration of the loop. */
	SLOW_US = 3000,
};

/* Any number of queries, in any case, make one question for each service. Each query can be
 * cancelled by itself. */
static void test_one_question(void **state)
{
	unsigned n_results = 0;

	(void)state;
	dns.script = script_services;
	for (size_t i = 0; i < ASKERS; i++) {
		ask_srv(&askers[i], i % 2 ? "a.example" : "A.Example");
	}
	for (size_t i = 0; i < ASKERS; i += 4) {
		cancel(&askers[i]);
	}
	wait_results(&askers[1], 1);
	for (size_t i = 0; i < ASKERS; i++) {
		wait_results(&askers[i], i % 4 != 0);
		assert_int_equal(askers[i].srv.n_targets, i % 4 ? 2 : 0);
		n_results += askers[i].n_results;
	}
	assert_int_equal(n_results, ASKERS * 3 / 4);
	assert_int_equal(dns.n_questions, 2);
}

/* A question continues when nobody waits for it, and its reply is not lost. */
static void test_cancelled_by_all(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	cancel(askers);
	wait_questions(2);
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_int_equal(askers->srv.n_targets, 2);
	assert_int_equal(dns.n_questions, 2);
	/* Also when the reply is there but not delivered yet. */
	ask_srv(askers, "a.example");
	cancel(askers);
	ask_srv(&askers[1], "a.example");
	wait_results(&askers[1], 1);
	assert_int_equal(askers->n_results, 1);
	resolver_query_cancel(NULL);
}

struct counts {
	unsigned n_asked, n_answered;
};

static void count_asked(void *userdata, enum dns_kind kind, const char *name)
{
	(void)kind, (void)name;
	((struct counts *)userdata)->n_asked++;
}

static void count_answered(void *userdata, enum dns_kind kind, const char *name,
			   const struct dns_reply *reply)
{
	(void)kind, (void)name, (void)reply;
	((struct counts *)userdata)->n_answered++;
}

/* In place of the present one: a resolver whose lookups are counted. */
static void start_counted(unsigned timeout_ms, unsigned n_tries, struct counts *counts)
{
	static struct lookup_observer observer;

	*counts = (struct counts){0};
	observer = (struct lookup_observer){
		.asked = count_asked, .answered = count_answered, .userdata = counts};
	resolver_free(dns.resolver);
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){.servers = dns.address,
								 .timeout_ms = timeout_ms,
								 .n_tries = n_tries,
								 .observer = &observer},
				      &dns.resolver),
			 0);
}

/* A reply that comes when nobody waits is cached. */
static void test_late_answer(void **state)
{
	static struct counts counts; /* the teardown counts, too */

	(void)state;
	start_counted(PATIENCE_MS, 6, &counts);
	dns.script = script_starttls;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_int_equal(askers->srv.n_targets, 1);
	/* The question continues: c-ares tries again. */
	dns.script = script_services;
	while (counts.n_answered < 2) {
		uv_run(&dns.loop, UV_RUN_ONCE);
	}
	ask_srv(askers, "a.example");
	wait_results(askers, 2);
	assert_int_equal(askers->srv.n_targets, 2);
	assert_int_equal(counts.n_asked, 2);
}

/* The calls of the observer, one in a line. */
static char observed[512];

static void on_observed_question(void *userdata, enum dns_kind kind, const char *name)
{
	size_t n = strlen(observed);

	assert_ptr_equal(userdata, askers);
	snprintf(observed + n, sizeof(observed) - n, "?%d %s\n", kind, name);
}

static void on_observed_reply(void *userdata, enum dns_kind kind, const char *name,
			      const struct dns_reply *reply)
{
	size_t n = strlen(observed);

	assert_ptr_equal(userdata, askers);
	snprintf(observed + n, sizeof(observed) - n, "!%d %s %d, %zu, %u s\n", kind, name,
		 reply->result, reply->n_records, (unsigned)reply->ttl_s);
}

/* Each question and each reply with its service and TTL, including cached replies. */
static void test_observer(void **state)
{
	static const struct lookup_observer observer = {
		.asked = on_observed_question,
		.answered = on_observed_reply,
		.userdata = askers,
	};
	const struct resolver_options options = {
		.servers = dns.address, .timeout_ms = LONG_MS, .n_tries = 3, .observer = &observer};
	static const char starttls[] = "!0 _xmpp-client._tcp.a.example 0, 1, 60 s\n";
	static const char direct[] = "!0 _xmpps-client._tcp.a.example 0, 1, 60 s\n";
	static const char questions[] =
		"?0 _xmpp-client._tcp.a.example\n?0 _xmpps-client._tcp.a.example\n";

	(void)state;
	observed[0] = '\0';
	resolver_free(dns.resolver);
	assert_int_equal(resolver_new(&dns.loop, &options, &dns.resolver), 0);
	dns.script = script_services;
	ask_srv(askers, "A.example");
	ask_srv(&askers[1], "a.example");
	assert_string_equal(observed, questions);
	wait_results(askers, 1);
	wait_results(&askers[1], 1);
	assert_int_equal(strlen(observed), strlen(questions) + strlen(starttls) + strlen(direct));
	assert_non_null(strstr(observed, starttls));
	assert_non_null(strstr(observed, direct));
	observed[0] = '\0';
	ask_srv(askers, "a.example");
	assert_int_equal(strlen(observed), strlen(starttls) + strlen(direct));
	wait_results(askers, 2);
}

/* A question whose first try has got no answer is asked again for a new query, which does not wait
 * for the next try. What answers one answers all. */
static void test_renewed(void **state)
{
	(void)state;
	dns.script = script_silent;
	ask_tlsa(askers, "a.example", 1);
	clock_pass_us(LONG_MS * 1000 - 1);
	ask_tlsa(&askers[1], "a.example", 1);
	wait_questions(1);
	read_questions();
	assert_int_equal(dns.n_questions, 1);
	dns.script = script_nothing;
	clock_pass_us(1);
	ask_tlsa(&askers[2], "a.example", 1);
	for (size_t i = 0; i < 3; i++) {
		wait_results(&askers[i], 1);
		assert_int_equal(askers[i].result, RESOLVER_NO_NAME);
	}
	assert_int_equal(dns.n_questions, 2);
}

/* The time-out of the older question is neither a result for the newer one nor cached. */
static void test_renewed_in_vain(void **state)
{
	uint64_t newer_end_ms;

	(void)state;
	resolver_free(dns.resolver);
	start_resolver(PATIENCE_MS, 2);
	dns.script = script_silent;
	ask_tlsa(askers, "a.example", 1);
	wait_questions(2);
	clock_pass_us(PATIENCE_MS * 1000);
	ask_tlsa(&askers[1], "a.example", 1);
	uv_update_time(&dns.loop);
	newer_end_ms = uv_now(&dns.loop) + PATIENCE_MS + 2 * PATIENCE_MS;
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_TIMEOUT);
	/* On a busy machine the newer one may have timed out as well. */
	uv_update_time(&dns.loop);
	if (uv_now(&dns.loop) < newer_end_ms) {
		assert_int_equal(askers[1].n_results, 0);
	}
	ask_tlsa(&askers[2], "a.example", 1);
	wait_results(&askers[1], 1);
	assert_int_equal(askers[1].result, RESOLVER_TIMEOUT);
}

static void test_renewals_bound(void **state)
{
	static struct counts counts; /* the teardown counts, too */

	(void)state;
	start_counted(LONG_MS, 3, &counts);
	dns.script = script_silent;
	for (unsigned i = 0; i < LOOKUPS_RENEWALS_MAX + 3; i++) {
		ask_tlsa(&askers[i], "a.example", 1);
		assert_int_equal(counts.n_asked,
				 i < LOOKUPS_RENEWALS_MAX ? i + 1 : LOOKUPS_RENEWALS_MAX + 1);
		clock_pass_us(LONG_MS * 1000);
	}
}

static void on_srv_ask_more(void *userdata, enum resolver_result result, struct srv_target *targets,
			    size_t n_targets)
{
	on_srv(userdata, result, targets, n_targets);
	cancel(&askers[1]);
	ask_srv(&askers[2], "a.example");
	ask_srv(&askers[3], "b.example");
}

/* A callback may ask again and cancel other queries. */
static void test_asking_in_callback(void **state)
{
	(void)state;
	dns.script = script_services;
	/* Of queries for the same question, the first one gets its reply last. */
	ask_srv(&askers[1], "a.example");
	assert_int_equal(resolver_ask_srv(dns.resolver,
					  &(struct resolver_question){.name = "a.example",
								      .crowd = TURN_NO_CROWD},
					  on_srv_ask_more, askers, &askers->query),
			 0);
	wait_results(askers, 1);
	wait_results(&askers[2], 1);
	wait_results(&askers[3], 1);
	assert_int_equal(askers[1].n_results, 0);
	assert_int_equal(dns.n_questions, 4);
}

static void on_srv_slowly(void *userdata, enum resolver_result result, struct srv_target *targets,
			  size_t n_targets)
{
	on_srv(userdata, result, targets, n_targets);
	clock_pass_us(SLOW_US);
}

/* A reply that many queries wait for holds up the loop for no longer than a few milliseconds: the
 * others are delivered in later iterations. */
static void test_shared_in_portions(void **state)
{
	enum { N = 4 };
	unsigned n_results = 0;

	(void)state;
	dns.script = script_services;
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(
			resolver_ask_srv(dns.resolver,
					 &(struct resolver_question){.name = "a.example",
								     .crowd = TURN_NO_CROWD},
					 on_srv_slowly, &askers[i], &askers[i].query),
			0);
	}
	for (unsigned n = 0; n < N; n = n_results) {
		uv_run(&dns.loop, UV_RUN_NOWAIT);
		n_results = 0;
		for (size_t i = 0; i < N; i++) {
			n_results += askers[i].n_results;
		}
		assert_in_range(n_results, n, n + 1);
	}
}

static void on_srv_free(void *userdata, enum resolver_result result, struct srv_target *targets,
			size_t n_targets)
{
	on_srv(userdata, result, targets, n_targets);
	dns.resolver = resolver_free(dns.resolver);
}

/* A callback may free the resolver: no other callback runs. */
static void test_freeing_in_callback(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(&askers[1], "a.example");
	ask_srv(&askers[2], "b.example");
	assert_int_equal(resolver_ask_srv(dns.resolver,
					  &(struct resolver_question){.name = "a.example",
								      .crowd = TURN_NO_CROWD},
					  on_srv_free, askers, &askers->query),
			 0);
	wait_results(askers, 1);
	assert_null(dns.resolver);
	for (int i = 0; i < 10; i++) {
		uv_run(&dns.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(askers[1].n_results, 0);
	assert_int_equal(askers[2].n_results, 0);
}

/* With questions under way, and with replies delivered and not delivered. */
static void test_freeing(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	ask_srv(askers, "a.example");
	ask_srv(&askers[1], "b.example");
	ask_addresses(&askers[2], "c.example", 1);
	ask_tlsa(&askers[3], "c.example", 1);
	dns.resolver = resolver_free(dns.resolver);
	for (int i = 0; i < 10; i++) {
		uv_run(&dns.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(askers->n_results + askers[1].n_results + askers[2].n_results +
				 askers[3].n_results,
			 1);
	assert_null(resolver_free(NULL));
}

static void test_bad_servers(void **state)
{
	struct resolver *resolver = NULL;

	(void)state;
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){
					      .servers = "nonsense", .timeout_ms = 1, .n_tries = 1},
				      &resolver),
			 -EINVAL);
	assert_null(resolver);
}

/* From the construction of a resolver to the result, twice: from the DNS and from the cache. */
static int scenario(void *userdata)
{
	struct resolver_options options = {
		.servers = dns.address, .timeout_ms = TRY_MS, .n_tries = 1};
	struct asker *asker = userdata;
	int r = resolver_new(&dns.loop, &options, &dns.resolver);

	for (int i = 0; r == 0 && i < 2; i++) {
		asker->query = NULL;
		asker->n_results = 0;
		r = resolver_ask_srv(
			dns.resolver,
			&(struct resolver_question){.name = "a.example", .crowd = TURN_NO_CROWD},
			on_srv, asker, &asker->query);
		while (r == 0 && asker->n_results == 0) {
			uv_run(&dns.loop, UV_RUN_DEFAULT);
		}
		r = r < 0 ? r : judge_without_memory(asker);
	}
	dns.resolver = resolver_free(dns.resolver);
	/* Its handles close at the next turn of the loop. */
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	dns.resolver = resolver_free(dns.resolver);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	dns.script = script_services;
	/* The resolver, its lookups, cache and c-ares; a query, two lookups, replies and entries of
	 * the cache. */
	failmalloc_each(scenario, askers, 12);
}

static int setup_at_clock(void **state)
{
	int r = setup(state);

	clock_follow(&dns.loop);
	return r;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_at_clock, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_question),
		TEST(test_cancelled_by_all),
		TEST(test_late_answer),
		TEST(test_renewed),
		TEST(test_renewed_in_vain),
		TEST(test_renewals_bound),
		TEST(test_observer),
		TEST(test_asking_in_callback),
		TEST(test_shared_in_portions),
		TEST(test_freeing_in_callback),
		TEST(test_freeing),
		TEST(test_bad_servers),
		TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
