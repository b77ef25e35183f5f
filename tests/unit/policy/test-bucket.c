/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/bucket.h"
#include "tests/unit/failmalloc.h"

static struct mono at_ms(int64_t ms)
{
	return (struct mono){ms};
}

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), 1, &address), 0);
	return address;
}

static void test_burst(void **state)
{
	const struct bucket_rate rate = {3, 30};
	struct bucket bucket = {0};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(bucket_take(&bucket, rate, at_ms(5000)));
	}
	assert_false(bucket_has(&bucket, rate, at_ms(5000)));
	assert_false(bucket_take(&bucket, rate, at_ms(5000)));
	assert_int_equal(bucket_wait_ms(&bucket, rate, at_ms(5000)), 10000);
}

static void test_refill(void **state)
{
	const struct bucket_rate rate = {3, 30};
	struct bucket bucket = {0};

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(bucket_take(&bucket, rate, at_ms(0)));
	}
	assert_false(bucket_take(&bucket, rate, at_ms(9999)));
	assert_true(bucket_take(&bucket, rate, at_ms(10000)));
	assert_false(bucket_take(&bucket, rate, at_ms(10000)));
	/* However long it was full, it holds no more than a burst. */
	for (int i = 0; i < 3; i++) {
		assert_true(bucket_take(&bucket, rate, at_ms(1000000)));
	}
	assert_false(bucket_take(&bucket, rate, at_ms(1000000)));
}

static void test_uneven_rate(void **state)
{
	const struct bucket_rate rate = {7, 1};
	struct bucket bucket = {0};

	(void)state;
	for (int i = 0; i < 7; i++) {
		assert_true(bucket_take(&bucket, rate, at_ms(1)));
	}
	assert_false(bucket_take(&bucket, rate, at_ms(1)));
}

static void test_fast_rate(void **state)
{
	const struct bucket_rate rate = {BUCKET_TOKENS_MAX, 1};
	struct bucket bucket = {0};

	(void)state;
	for (int i = 0; i < BUCKET_TOKENS_MAX; i++) {
		assert_true(bucket_take(&bucket, rate, at_ms(1)));
	}
	assert_false(bucket_take(&bucket, rate, at_ms(1)));
	assert_true(bucket_take(&bucket, rate, at_ms(2)));
}

static void test_no_limit(void **state)
{
	const struct bucket_rate rate = {0};
	struct bucket bucket = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(bucket_take(&bucket, rate, at_ms(0)));
	}
	assert_int_equal(bucket.full_us, 0);
}

static void test_debt(void **state)
{
	const struct bucket_rate rate = {2, 10};
	struct bucket bucket = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		bucket_charge(&bucket, rate, at_ms(0));
	}
	/* A whole bucket of debt, and the token itself. */
	assert_int_equal(bucket_wait_ms(&bucket, rate, at_ms(0)), 15000);
	assert_false(bucket_has(&bucket, rate, at_ms(14999)));
	assert_true(bucket_has(&bucket, rate, at_ms(15000)));
}

static void test_keys(void **state)
{
	const struct address a = address_of("192.0.2.1");
	const struct address b = address_of("192.0.2.2");
	const struct address same[] = {address_of("[2001:db8:0:1::1]"),
				       address_of("[2001:db8:0:1:ffff::]")};
	struct bucket_table *table;

	(void)state;
	assert_int_equal(bucket_table_new(&table), 0);
	assert_true(bucket_key(table, &a, SV("x.org")) == bucket_key(table, &a, SV("x.org")));
	assert_true(bucket_key(table, &a, SV("x.org")) != bucket_key(table, &b, SV("x.org")));
	assert_true(bucket_key(table, &a, SV("x.org")) != bucket_key(table, &a, SV("y.org")));
	assert_true(bucket_key(table, &a, SV("")) != bucket_key(table, NULL, SV("")));
	assert_true(bucket_key(table, &same[0], SV("")) == bucket_key(table, &same[1], SV("")));
	bucket_table_free(table);
}

static void test_table(void **state)
{
	const struct bucket_rate rate = {1, 60};
	struct bucket_table *table;

	(void)state;
	assert_int_equal(bucket_table_new(&table), 0);
	assert_null(bucket_table_find(table, 77));
	assert_true(bucket_take(bucket_table_get(table, 77, at_ms(1)), rate, at_ms(1)));
	assert_false(bucket_take(bucket_table_get(table, 77, at_ms(1)), rate, at_ms(1)));
	assert_false(bucket_has(bucket_table_find(table, 77), rate, at_ms(1)));
	assert_true(bucket_take(bucket_table_get(table, 78, at_ms(1)), rate, at_ms(1)));
	bucket_table_free(table);
}

/* One client is over its limit when the owner of an IPv6 /40 comes with all its /64s. The memory
 * stays what it was, and the client is still over its limit. */
static void test_flood(void **state)
{
	const struct bucket_rate rate = {10, 600};
	const struct address guilty = address_of("[2001:db8:ffff::1]");
	struct address flood = address_of("[2001:db8::1]");
	struct bucket_table *table;

	(void)state;
	assert_int_equal(bucket_table_new(&table), 0);
	uint64_t key = bucket_key(table, &guilty, SV("x.org"));
	size_t n_live = failmalloc_n_live();

	for (int i = 0; i < 10; i++) {
		bucket_charge(bucket_table_get(table, key, at_ms(1)), rate, at_ms(1));
	}
	for (unsigned i = 0; i < 20U * BUCKET_TABLE_MAX; i++) {
		flood.v6.sin6_addr.s6_addr[5] = (unsigned char)(i >> 16);
		flood.v6.sin6_addr.s6_addr[6] = (unsigned char)(i >> 8);
		flood.v6.sin6_addr.s6_addr[7] = (unsigned char)i;
		uint64_t other = bucket_key(table, &flood, SV("x.org"));

		assert_true(bucket_take(bucket_table_get(table, other, at_ms(2)), rate, at_ms(2)));
	}
	const struct bucket *bucket = bucket_table_find(table, key);

	assert_non_null(bucket);
	assert_false(bucket_has(bucket, rate, at_ms(2)));
	assert_int_equal(failmalloc_n_live(), n_live);
	bucket_table_free(table);
}

static void test_rate_texts(void **state)
{
	static const char *const bad[] = {"",     "/",         "1",       "1/",    "/1",  "0/1",
					  "1/0",  "-1/1",      "1/-1",    "1/1/1", "a/1", "1/a",
					  "1 /1", "1000001/1", "1/86401", "00",    "0/0"};
	struct bucket_rate rate;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		assert_int_equal(bucket_rate_parse(sv_from(bad[i]), &rate), -EINVAL);
	}
	assert_int_equal(bucket_rate_parse(SV("20/60"), &rate), 0);
	assert_int_equal(rate.n_tokens, 20);
	assert_int_equal(rate.seconds, 60);
	assert_int_equal(bucket_rate_parse(SV("1000000/86400"), &rate), 0);
	assert_int_equal(bucket_rate_parse(SV("0"), &rate), 0);
	assert_int_equal(rate.n_tokens, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst),       cmocka_unit_test(test_refill),
		cmocka_unit_test(test_uneven_rate), cmocka_unit_test(test_fast_rate),
		cmocka_unit_test(test_no_limit),    cmocka_unit_test(test_debt),
		cmocka_unit_test(test_keys),        cmocka_unit_test(test_table),
		cmocka_unit_test(test_flood),       cmocka_unit_test(test_rate_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
