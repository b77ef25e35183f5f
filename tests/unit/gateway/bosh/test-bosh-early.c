/* SPDX-License-Identifier: MIT */
/* The early requests of a BOSH session: they are found by rid, in whatever order they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/bosh/early.h"
#include "tests/unit/failmalloc.h"

enum {
	N_MAX = 3,
};

static struct bosh_early early;

static int setup(void **state)
{
	(void)state;
	bosh_early_init(&early, N_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bosh_early_deinit(&early);
	return 0;
}

static int try_put(struct bosh_early *some, uint64_t rid, uint64_t exchange, int64_t ms)
{
	struct bosh_body body = {.rid = rid};
	int r = buffer_append_sv(&body.payloads, SV("<a/>"));

	r = r < 0 ? r : bosh_early_put(some, exchange, &body, (struct mono){ms});
	if (r == 0) {
		assert_int_equal(body.payloads.n, 0);
	}
	bosh_body_deinit(&body);
	return r;
}

static void put(uint64_t rid, uint64_t exchange, int64_t ms)
{
	assert_int_equal(try_put(&early, rid, exchange, ms), 0);
}

static void test_empty(void **state)
{
	struct bosh_arrival arrival;

	(void)state;
	assert_null(bosh_early_find(&early, 0));
	assert_false(bosh_early_take(&early, 0, &arrival));
	assert_int_equal(bosh_early_highest(&early, 5), 4);
	assert_int_equal(bosh_early_latest(&early, (struct mono){3}).ms, 3);
	assert_int_equal(bosh_early_take_exchange(&early), 0);
	bosh_early_forget(&early, 0);
}

static void test_take(void **state)
{
	struct bosh_arrival arrival;

	(void)state;
	/* As many as there may be, again and again: taking must make room. */
	for (uint64_t rid = 10; rid < 20; rid += N_MAX) {
		for (uint64_t i = N_MAX; i-- > 0;) {
			put(rid + i, rid + i + 100, 0);
		}
		for (uint64_t i = 0; i < N_MAX; i++) {
			assert_true(bosh_early_take(&early, rid + i, &arrival));
			assert_int_equal(arrival.rid, rid + i);
			assert_int_equal(arrival.exchange, rid + i + 100);
			assert_true(sv_eq(buffer_sv(&arrival.body->payloads), SV("<a/>")));
			bosh_arrival_clear(&arrival);
			assert_null(bosh_early_find(&early, rid + i));
		}
	}
}

static void test_highest(void **state)
{
	(void)state;
	put(11, 1, 0);
	put(13, 2, 0);
	assert_int_equal(bosh_early_highest(&early, 10), 9);
	assert_int_equal(bosh_early_highest(&early, 11), 11);
	put(12, 3, 0);
	assert_int_equal(bosh_early_highest(&early, 11), 13);
}

static void test_latest(void **state)
{
	(void)state;
	put(11, 1, 20);
	put(12, 2, 10);
	assert_int_equal(bosh_early_latest(&early, (struct mono){5}).ms, 20);
	assert_int_equal(bosh_early_latest(&early, (struct mono){25}).ms, 25);
}

static void test_forget(void **state)
{
	(void)state;
	put(11, 1, 20);
	put(12, 2, 10);
	bosh_early_forget(&early, 1);
	assert_null(bosh_early_find(&early, 11));
	assert_non_null(bosh_early_find(&early, 12));
	assert_int_equal(bosh_early_latest(&early, (struct mono){5}).ms, 10);
	bosh_early_forget(&early, 2);
	assert_null(bosh_early_find(&early, 12));
}

static void test_take_exchange(void **state)
{
	(void)state;
	put(11, 1, 0);
	put(12, 2, 0);
	assert_int_equal(bosh_early_take_exchange(&early), 1);
	assert_int_equal(bosh_early_take_exchange(&early), 2);
	assert_int_equal(bosh_early_take_exchange(&early), 0);
}

static int scenario(void *userdata)
{
	struct bosh_early some;

	(void)userdata;
	bosh_early_init(&some, N_MAX);
	int r = try_put(&some, 1, 1, 0);

	r = r < 0 ? r : try_put(&some, 2, 2, 0);
	bosh_early_deinit(&some);
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_take),
		TEST(test_highest),
		TEST(test_latest),
		TEST(test_forget),
		TEST(test_take_exchange),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
