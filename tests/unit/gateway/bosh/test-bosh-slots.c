/* SPDX-License-Identifier: MIT */
/* The slots of a BOSH session: their order, their limit, and which of them can be answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/bosh/slots.h"
#include "tests/unit/failmalloc.h"

enum {
	N_MAX = 3,
};

static struct bosh_slots slots;

static int setup(void **state)
{
	(void)state;
	return bosh_slots_init(&slots, N_MAX);
}

static int teardown(void **state)
{
	(void)state;
	bosh_slots_deinit(&slots);
	return 0;
}

static struct bosh_slot *push(uint64_t rid, uint64_t exchange, int64_t ms)
{
	return bosh_slots_push(
		&slots, &(struct bosh_slot){.rid = rid, .exchange = exchange, .received = {ms}});
}

static void test_empty(void **state)
{
	(void)state;
	assert_null(bosh_slots_first(&slots));
	assert_null(bosh_slots_last(&slots));
	assert_null(bosh_slots_find(&slots, 0));
	assert_false(bosh_slots_are_attended(&slots));
	assert_true(mono_is_never(bosh_slots_earliest(&slots)));
	assert_int_equal(bosh_slots_take_exchange(&slots), 0);
	bosh_slots_clear(&slots);
	bosh_slots_set_stale(&slots);
	bosh_slots_forget(&slots, 1);
}

static void test_order(void **state)
{
	(void)state;
	/* Popping must make room, again and again. */
	for (uint64_t rid = 1; rid <= N_MAX; rid++) {
		assert_int_equal(push(rid, rid, 0)->rid, rid);
	}
	for (uint64_t rid = 1; rid <= 10; rid++) {
		assert_int_equal(slots.n, N_MAX);
		assert_int_equal(bosh_slots_first(&slots)->rid, rid);
		assert_int_equal(bosh_slots_last(&slots)->rid, rid + N_MAX - 1);
		assert_null(bosh_slots_find(&slots, rid + N_MAX));
		bosh_slots_pop(&slots);
		assert_null(bosh_slots_find(&slots, rid));
		push(rid + N_MAX, 1, 0);
	}
	bosh_slots_clear(&slots);
	assert_null(bosh_slots_first(&slots));
}

static void test_attended(void **state)
{
	(void)state;
	push(1, 0, 0);
	assert_false(bosh_slots_are_attended(&slots));
	push(2, 7, 0);
	push(3, 8, 0);
	assert_true(bosh_slots_are_attended(&slots));
	bosh_slots_forget(&slots, 7);
	assert_int_equal(bosh_slots_find(&slots, 2)->exchange, 0);
	assert_true(bosh_slots_are_attended(&slots));
	bosh_slots_forget(&slots, 8);
	assert_false(bosh_slots_are_attended(&slots));
}

static void test_under_way(void **state)
{
	(void)state;
	push(1, 6, 0);
	push(2, 0, 0);
	assert_int_equal(bosh_slots_n_under_way(&slots), 1);
	bosh_slots_set_stale(&slots);
	assert_int_equal(bosh_slots_n_under_way(&slots), 0);
	assert_true(bosh_slots_are_attended(&slots));
	push(3, 7, 0);
	assert_int_equal(bosh_slots_n_under_way(&slots), 1);
}

static void test_opener(void **state)
{
	(void)state;
	push(1, 6, 0)->kind = BOSH_SLOT_OPENER;
	assert_true(bosh_slots_have_opener(&slots));
	bosh_slots_last(&slots)->kind = BOSH_SLOT_PLAIN;
	assert_false(bosh_slots_have_opener(&slots));
	push(2, 7, 0)->kind = BOSH_SLOT_EXTRA;
	assert_false(bosh_slots_have_opener(&slots));
	bosh_slots_last(&slots)->kind = BOSH_SLOT_OPENER;
	assert_true(bosh_slots_have_opener(&slots));
	bosh_slots_last(&slots)->kind = BOSH_SLOT_OPENER_REFUSED;
	assert_true(bosh_slots_have_opener(&slots));
}

/* Requests may come in another order than that of their rids. */
static void test_earliest(void **state)
{
	(void)state;
	push(1, 6, 30);
	push(2, 7, 10);
	push(3, 8, 20);
	assert_int_equal(bosh_slots_earliest(&slots).ms, 10);
}

static void test_take_exchange(void **state)
{
	(void)state;
	push(1, 6, 0);
	push(2, 0, 0);
	push(3, 8, 0);
	assert_int_equal(bosh_slots_take_exchange(&slots), 6);
	assert_int_equal(bosh_slots_take_exchange(&slots), 8);
	assert_int_equal(bosh_slots_take_exchange(&slots), 0);
	assert_int_equal(slots.n, 3);
}

static int scenario(void *userdata)
{
	struct bosh_slots some;
	int r = bosh_slots_init(&some, N_MAX);

	(void)userdata;
	bosh_slots_deinit(&some);
	bosh_slots_deinit(&some);
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),         TEST(test_order),
		TEST(test_attended),      TEST(test_under_way),
		TEST(test_opener),        TEST(test_earliest),
		TEST(test_take_exchange), cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
