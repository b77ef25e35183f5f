/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "policy/quota.h"

enum { INTERVAL_MS = 1000 };

static struct quota *quota;
static struct quota_excess excess;

static int set_up(void **state)
{
	const struct quota_limits limits = {
		.n_client = 3, .n_others = 5, .interval_ms = INTERVAL_MS};

	(void)state;
	return quota_new(&limits, &quota);
}

static int tear_down(void **state)
{
	(void)state;
	quota = quota_free(quota);
	return 0;
}

static struct address at(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), 1, &address), 0);
	return address;
}

/* The @i-th of many clients. */
static struct address nth(unsigned i)
{
	char text[64];

	snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
	return at(text);
}

static bool take(const struct address *client, int64_t ms)
{
	return quota_take(quota, client, (struct mono){ms}, &excess);
}

static bool expire(int64_t ms)
{
	return quota_expire(quota, (struct mono){ms}, &excess);
}

static void test_limit(void **state)
{
	const struct address a = at("192.0.2.1");
	const struct address b = at("192.0.2.2");

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(take(&a, 0));
		assert_int_equal(excess.n, 0);
	}
	assert_false(take(&a, 0));
	assert_false(take(&a, INTERVAL_MS - 1));
	assert_int_equal(excess.n, 0);
	assert_true(take(&b, INTERVAL_MS - 1));
}

static void test_next_interval(void **state)
{
	const struct address a = at("192.0.2.1:1");
	const struct address a_again = at("192.0.2.1:2");

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(take(&a, 100), i < 3);
	}
	assert_true(take(&a_again, 100 + INTERVAL_MS));
	assert_int_equal(excess.n, 2);
	assert_false(excess.is_others);
	assert_int_equal(address_port(&excess.client), 1);
	/* An interval starts when the client asks, not at the end of the previous one. */
	assert_true(take(&a, 100 + INTERVAL_MS));
	assert_int_equal(excess.n, 0);
	assert_true(take(&a, 100 + INTERVAL_MS));
	assert_false(take(&a, 99 + 2 * INTERVAL_MS));
	assert_true(take(&a, 100 + 2 * INTERVAL_MS));
	assert_int_equal(excess.n, 1);
	/* Without an excess nothing is reported. */
	assert_true(take(&a, 100 + 9 * INTERVAL_MS));
	assert_int_equal(excess.n, 0);
}

static void test_expire(void **state)
{
	const struct address a = at("192.0.2.1");
	const struct address b = at("192.0.2.2");
	const struct address c = at("192.0.2.3");

	(void)state;
	assert_false(expire(0));
	for (int i = 0; i < 10; i++) {
		take(&a, 0);
		take(&c, 20);
	}
	take(&b, 10);
	assert_false(expire(INTERVAL_MS - 1));
	assert_true(expire(INTERVAL_MS));
	assert_int_equal(excess.n, 7);
	assert_true(address_is_same_host(&excess.client, &a));
	assert_false(expire(INTERVAL_MS + 19));
	assert_true(expire(INTERVAL_MS + 20));
	assert_true(address_is_same_host(&excess.client, &c));
	assert_false(expire(9 * INTERVAL_MS));
	/* Reported only once. */
	assert_true(take(&a, 9 * INTERVAL_MS));
	assert_int_equal(excess.n, 0);
	assert_false(quota_expire(quota, MONO_NEVER, &excess));
}

static void test_time_of_another_thread(void **state)
{
	const struct address a = at("192.0.2.1");

	(void)state;
	assert_true(take(&a, 100));
	assert_true(take(&a, 95));
	assert_true(take(&a, 95));
	assert_false(take(&a, 95));
	assert_false(expire(95));
	assert_true(expire(100 + INTERVAL_MS));
	assert_int_equal(excess.n, 1);
}

static void test_ipv6(void **state)
{
	const struct address a = at("[2001:db8::1]:1");
	const struct address a_too = at("[2001:db8::ffff:2]:1");
	const struct address b = at("[2001:db8:0:1::1]:1");

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(take(i % 2 ? &a : &a_too, 0));
	}
	assert_false(take(&a, 0));
	assert_false(take(&a_too, 0));
	assert_true(take(&b, 0));
}

/* When the table is full, further clients share an interval. Those in the table are not
 * affected. */
static void test_overflow(void **state)
{
	const struct address first = nth(0);
	const struct address last = nth(QUOTA_CLIENTS_MAX - 1);

	(void)state;
	for (unsigned i = 0; i < QUOTA_CLIENTS_MAX; i++) {
		struct address client = nth(i);

		assert_true(take(&client, i));
		assert_true(take(&client, i));
	}
	for (unsigned i = 0; i < 12; i++) {
		struct address client = nth(QUOTA_CLIENTS_MAX + i);

		assert_int_equal(take(&client, 500), i < 5);
	}
	assert_true(take(&first, 999));
	assert_false(take(&first, 999));
	/* Their interval is over: the next one of them returns the excess. */
	struct address other = nth(5 * QUOTA_CLIENTS_MAX);

	assert_true(take(&other, 1500));
	assert_int_equal(excess.n, 7);
	assert_true(excess.is_others);
	assert_true(take(&last, QUOTA_CLIENTS_MAX));
	/* A new client finds room again. */
	assert_true(expire(1500));
	assert_true(address_is_same_host(&excess.client, &first));
	assert_false(expire(1500));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(take(&other, 1500), i < 3);
	}
	assert_true(expire(2500));
	assert_false(excess.is_others);
	assert_int_equal(excess.n, 1);
	assert_false(expire(2500));
}

static void test_others_expire(void **state)
{
	(void)state;
	for (unsigned i = 0; i < QUOTA_CLIENTS_MAX + 6; i++) {
		struct address client = nth(i);

		take(&client, 0);
	}
	assert_false(expire(INTERVAL_MS - 1));
	assert_true(expire(INTERVAL_MS));
	assert_true(excess.is_others);
	assert_int_equal(excess.n, 1);
	assert_false(expire(INTERVAL_MS));
}

/* In any sequence, each call is either granted or reported once as excess. */
static void test_sums(void **state)
{
	uint64_t n_asked = 0;
	uint64_t n_granted = 0;
	uint64_t n_excess = 0;
	int64_t now = 0;

	(void)state;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		struct address client = nth((unsigned)rand() % (rand() % 2 ? 5000 : 20));

		n_asked++;
		n_granted += take(&client, now);
		n_excess += excess.n;
		if (rand() % 5 == 0) {
			now++;
		}
		while (rand() % 300 == 0 && expire(now)) {
			n_excess += excess.n;
		}
	}
	while (quota_expire(quota, MONO_NEVER, &excess)) {
		n_excess += excess.n;
	}
	assert_int_equal(n_granted + n_excess, n_asked);
	uint64_t n_per_interval = QUOTA_CLIENTS_MAX * 3 + 5;

	assert_in_range(n_granted, 1000, (uint64_t)(now / INTERVAL_MS + 2) * n_per_interval);
}

/* Other limits are those of an interval that has begun, too. */
static void test_other_limits(void **state)
{
	const struct quota_limits more = {.n_client = 4, .n_others = 5, .interval_ms = INTERVAL_MS};
	const struct address a = at("192.0.2.1");

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(take(&a, 0));
	}
	assert_false(take(&a, 0));
	quota_set_limits(quota, &more);
	assert_true(take(&a, INTERVAL_MS));
	for (int i = 0; i < 3; i++) {
		assert_true(take(&a, INTERVAL_MS));
	}
	assert_false(take(&a, INTERVAL_MS));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_limit),        TEST(test_next_interval),
		TEST(test_expire),       TEST(test_time_of_another_thread),
		TEST(test_ipv6),         TEST(test_overflow),
		TEST(test_sums),         TEST(test_others_expire),
		TEST(test_other_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
