/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/upstream/dns/cache.h"
#include "gateway/upstream/dns/srv.h"
#include "tests/unit/failmalloc.h"

static const struct mono start = {1000000};

static int setup(void **state)
{
	return answers_new((struct answers **)state);
}

static int teardown(void **state)
{
	return answers_free(*state) ? -1 : 0;
}

static struct answer *made(enum resolver_result result, uint32_t ttl_s, size_t n_targets)
{
	static const struct srv_target targets[SRV_TARGETS_MAX];
	struct answer *answer = NULL;

	assert_int_equal(answer_new(ANSWER_SRV, result, ttl_s, targets, n_targets, &answer), 0);
	return answer;
}

static void put(struct answers *answers, const char *name, enum resolver_result result, uint32_t ttl_s)
{
	struct answer *answer = made(result, ttl_s, 0);

	answers_put(answers, ANSWER_SRV, name, answer, start);
	answer_unref(answer);
}

/* The TTL of what is found, or -1. */
static long find(struct answers *answers, const char *name, struct mono now)
{
	struct answer *answer = answers_find(answers, ANSWER_SRV, name, now);
	long ttl_s = answer ? (long)answer->ttl_s : -1;

	answer_unref(answer);
	return ttl_s;
}

static void assert_holds_s(struct answers *answers, enum resolver_result result, uint32_t ttl_s, int64_t expected_s)
{
	put(answers, "a", result, ttl_s);
	assert_int_equal(find(answers, "a", start), ttl_s);
	assert_int_equal(find(answers, "a", mono_add_ms(start, expected_s * 1000 - 1)), ttl_s);
	assert_int_equal(find(answers, "a", mono_add_ms(start, expected_s * 1000)), -1);
	assert_int_equal(answers_count(answers), 0);
	assert_int_equal(answers_bytes(answers), 0);
}

static void test_expiry(void **state)
{
	static const struct {
		enum resolver_result result;
		uint32_t ttl_s;
		int64_t expected_s;
	} rows[] = {
		{RESOLVER_OK, 0, ANSWERS_TTL_MIN_S},
		{RESOLVER_OK, ANSWERS_TTL_MIN_S - 1, ANSWERS_TTL_MIN_S},
		{RESOLVER_OK, ANSWERS_TTL_MIN_S + 1, ANSWERS_TTL_MIN_S + 1},
		{RESOLVER_OK, ANSWERS_TTL_MAX_S - 1, ANSWERS_TTL_MAX_S - 1},
		{RESOLVER_OK, ANSWERS_TTL_MAX_S, ANSWERS_TTL_MAX_S},
		{RESOLVER_OK, ANSWERS_TTL_MAX_S + 1, ANSWERS_TTL_MAX_S},
		{RESOLVER_OK, UINT32_MAX, ANSWERS_TTL_MAX_S},
		{RESOLVER_NO_NAME, 0, ANSWERS_TTL_MIN_S},
		{RESOLVER_NO_NAME, 60, 60},
		{RESOLVER_NO_NAME, ANSWERS_NEGATIVE_TTL_MAX_S, ANSWERS_NEGATIVE_TTL_MAX_S},
		{RESOLVER_NO_NAME, ANSWERS_NEGATIVE_TTL_MAX_S + 1, ANSWERS_NEGATIVE_TTL_MAX_S},
		{RESOLVER_FAILED, 0, ANSWERS_FAILURE_TTL_S},
		{RESOLVER_FAILED, 3600, ANSWERS_FAILURE_TTL_S},
		{RESOLVER_TIMEOUT, 60, ANSWERS_FAILURE_TTL_S},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_holds_s(*state, rows[i].result, rows[i].ttl_s, rows[i].expected_s);
	}
}

static void test_names_and_kinds_are_apart(void **state)
{
	struct answers *answers = *state;
	struct answer *addresses;

	put(answers, "a.example", RESOLVER_OK, 10);
	put(answers, "b.example", RESOLVER_OK, 20);
	assert_null(answers_find(answers, ANSWER_ADDRESSES, "a.example", start));
	assert_int_equal(answer_new(ANSWER_ADDRESSES, RESOLVER_NO_NAME, 30, NULL, 0, &addresses), 0);
	answers_put(answers, ANSWER_ADDRESSES, "a.example", addresses, start);
	assert_int_equal(answers_count(answers), 3);
	assert_ptr_equal(answers_find(answers, ANSWER_ADDRESSES, "a.example", start), addresses);
	answer_unref(addresses);
	answer_unref(addresses);
	assert_int_equal(find(answers, "a.example", start), 10);
	assert_int_equal(find(answers, "b.example", start), 20);
	assert_int_equal(find(answers, "a.exampl", start), -1);
	assert_int_equal(find(answers, "", start), -1);
	assert_null(answers_find(answers, ANSWER_TLSA, "a.example", start));
}

static void test_newer_replaces_older(void **state)
{
	struct answers *answers = *state;

	put(answers, "a", RESOLVER_OK, 10);
	size_t n_bytes = answers_bytes(answers);

	put(answers, "a", RESOLVER_NO_NAME, 20);
	assert_int_equal(answers_count(answers), 1);
	assert_int_equal(answers_bytes(answers), n_bytes);
	assert_int_equal(find(answers, "a", mono_add_s(start, 15)), 20);
}

/* Whoever has an answer keeps it, whatever becomes of the cache's. */
static void test_found_outlives_kept(void **state)
{
	struct answers *answers = *state;

	put(answers, "a", RESOLVER_OK, 10);
	struct answer *answer = answers_find(answers, ANSWER_SRV, "a", start);

	put(answers, "a", RESOLVER_OK, 20);
	assert_int_equal(find(answers, "a", mono_add_s(start, 20)), -1);
	assert_int_equal(answer->ttl_s, 10);
	assert_int_equal(answer->n_refs, 1);
	answer_unref(answer);
}

static const char *numbered(unsigned i)
{
	static char name[32];

	snprintf(name, sizeof(name), "n%u.example", i);
	return name;
}

static void test_bound(void **state)
{
	struct answers *answers = *state;

	for (unsigned i = 0; i < ANSWERS_MAX; i++) {
		put(answers, numbered(i), RESOLVER_OK, i);
	}
	assert_int_equal(answers_count(answers), ANSWERS_MAX);
	for (unsigned i = 0; i < ANSWERS_MAX; i++) {
		assert_int_equal(find(answers, numbered(i), start), i);
	}
	/* All were used; the first now again: the second has waited for longest. */
	assert_int_equal(find(answers, numbered(0), start), 0);
	put(answers, "one more", RESOLVER_OK, 7);
	assert_int_equal(answers_count(answers), ANSWERS_MAX);
	assert_int_equal(find(answers, numbered(1), start), -1);
	assert_int_equal(find(answers, numbered(0), start), 0);
	assert_int_equal(find(answers, numbered(2), start), 2);
	assert_int_equal(find(answers, "one more", start), 7);
	/* A newer answer to a known question takes no other's place. */
	put(answers, numbered(3), RESOLVER_OK, 8);
	assert_int_equal(answers_count(answers), ANSWERS_MAX);
	assert_int_equal(find(answers, numbered(4), start), 4);
}

static void test_bound_of_bytes(void **state)
{
	struct answers *answers = *state;
	struct answer *large = made(RESOLVER_OK, 9, SRV_TARGETS_MAX);
	size_t n_each;
	unsigned n_fit;

	answers_put(answers, ANSWER_SRV, "n1000.example", large, start);
	n_each = answers_bytes(answers);
	assert_true(n_each > large->n_bytes);
	n_fit = (unsigned)(ANSWERS_BYTES_MAX / n_each);
	assert_true(n_fit < ANSWERS_MAX);
	for (unsigned i = 1; i < n_fit; i++) {
		answers_put(answers, ANSWER_SRV, numbered(1000 + i), large, start);
	}
	assert_int_equal(answers_count(answers), n_fit);
	assert_int_equal(answers_bytes(answers), n_fit * n_each);
	answers_put(answers, ANSWER_SRV, numbered(1000 + n_fit), large, start);
	assert_int_equal(answers_count(answers), n_fit);
	assert_int_equal(find(answers, numbered(1000), start), -1);
	assert_int_equal(find(answers, numbered(1001), start), 9);
	assert_int_equal(find(answers, numbered(1000 + n_fit), start), 9);
	answer_unref(large);
}

static void test_free_nothing(void **state)
{
	(void)state;
	assert_null(answers_free(NULL));
}

/* Keeps as much as makes the table grow: without memory it keeps less, and what it has it gives back. */
static int scenario(void *userdata)
{
	struct answers *answers;
	struct answer *answer;
	int r = answers_new(&answers);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	r = answer_new(ANSWER_SRV, RESOLVER_OK, 60, NULL, 0, &answer);
	for (unsigned i = 0; r == 0 && i < 400; i++) {
		answers_put(answers, ANSWER_SRV, numbered(i), answer, start);
	}
	if (r == 0) {
		answers_free(answers);
		r = answer->n_refs == 1 ? 0 : -EINVAL;
		answer_unref(answer);
		return r;
	}
	answers_free(answers);
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_and_kinds_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer_replaces_older, setup, teardown),
		cmocka_unit_test_setup_teardown(test_found_outlives_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound_of_bytes, setup, teardown),
		cmocka_unit_test(test_free_nothing),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
