/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/turn.h"
#include "tests/unit/clock.h"

enum {
	N_ITEMS = 8,
	N_RUNS_MAX = 100,
	LONG_US = 3 * TURN_US,
};

struct user {
	struct turn_item item;
	uint32_t takes_us;
	bool leaves; /* in its turn */
};

static struct {
	uv_loop_t loop;
	struct turn turn;
	struct user users[N_ITEMS];
	size_t runs[N_RUNS_MAX]; /* who ran, in this order */
	size_t n_runs;
} one;

static void on_run(struct turn_item *item)
{
	struct user *user = CONTAINER_OF(item, struct user, item);

	assert_true(one.n_runs < N_RUNS_MAX);
	one.runs[one.n_runs++] = (size_t)(user - one.users);
	clock_pass_us(user->takes_us);
	if (user->leaves) {
		turn_remove(&one.turn, item);
		/* It is not charged any more. */
		*item = (struct turn_item){0};
	}
}

static int setup(void **state)
{
	(void)state;
	one.n_runs = 0;
	assert_int_equal(uv_loop_init(&one.loop), 0);
	turn_init(&one.turn, &one.loop);
	for (uint32_t i = 0; i < N_ITEMS; i++) {
		one.users[i] = (struct user){0};
		turn_item_init(&one.users[i].item, i, on_run);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	turn_close(&one.turn);
	assert_int_equal(uv_run(&one.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	return 0;
}

static void add(size_t i)
{
	turn_begin(&one.turn);
	turn_add(&one.turn, &one.users[i].item);
}

/* Has the item spent as much as that. */
static void spend(size_t i, uint32_t us)
{
	one.users[i].item.spent = (struct turn_spent){us, clock_second()};
}

/* There are light ones, of a crowd that is in none of the tests. */
static bool is_heavy(struct turn *turn, const struct turn_item *item)
{
	turn->lights[0] = (struct turn_light){clock_second(), 999};
	return turn_is_pressed(turn, item);
}

static void iterate(void)
{
	uv_run(&one.loop, UV_RUN_NOWAIT);
}

static void expect(size_t n, const size_t *runs)
{
	assert_int_equal(one.n_runs, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(one.runs[i], runs[i]);
	}
	one.n_runs = 0;
}
#define EXPECT(...) \
	expect(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), (size_t[]){__VA_ARGS__})

static void test_light(void **state)
{
	(void)state;
	add(0);
	add(1);
	add(0);
	EXPECT(0, 1, 0);
	assert_false(turn_waits(&one.users[0].item));
	assert_false(is_heavy(&one.turn, &one.users[0].item));
}

static void test_time_makes_heavy(void **state)
{
	(void)state;
	one.users[0].takes_us = TURN_ITEM_US;
	add(0);
	EXPECT(0);
	assert_true(is_heavy(&one.turn, &one.users[0].item));
	add(0);
	add(1);
	assert_true(turn_waits(&one.users[0].item));
	EXPECT(1);
	iterate();
	EXPECT(0);
	assert_false(turn_waits(&one.users[0].item));
}

static void test_limit(void **state)
{
	(void)state;
	spend(0, TURN_ITEM_US - 1);
	spend(1, TURN_ITEM_US);
	add(0);
	add(1);
	EXPECT(0);
	assert_true(turn_waits(&one.users[1].item));
	iterate();
	EXPECT(1);
}

static void test_halved(void **state)
{
	(void)state;
	spend(0, 16 * TURN_ITEM_US);
	turn_begin(&one.turn);
	assert_true(is_heavy(&one.turn, &one.users[0].item));
	one.users[0].item.spent.second -= 4;
	assert_true(is_heavy(&one.turn, &one.users[0].item));
	one.users[0].item.spent.second--;
	assert_false(is_heavy(&one.turn, &one.users[0].item));
	/* A long time ago. */
	one.users[0].item.spent = (struct turn_spent){UINT32_MAX, 0};
	one.turn.now_ns = UINT64_C(1000) * 1000 * 1000 * 1000;
	assert_false(is_heavy(&one.turn, &one.users[0].item));
}

/* Light items of a crowd come after others, and before heavy items. */
static void test_crowd(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		turn_item_init(&one.users[i].item, 7, on_run);
	}
	one.turn.crowds[7] = (struct turn_spent){4 * TURN_CROWD_US, clock_second()};
	spend(0, 8 * TURN_ITEM_US);
	add(0);
	add(1);
	add(2);
	add(3);
	EXPECT(3);
	iterate();
	EXPECT(1, 2, 0);
}

/* What one item of a crowd takes counts for all of it. */
static void test_crowd_pays(void **state)
{
	(void)state;
	turn_item_init(&one.users[0].item, 7, on_run);
	turn_item_init(&one.users[1].item, 7, on_run);
	one.users[0].takes_us = TURN_CROWD_US;
	add(0);
	EXPECT(0);
	add(1);
	add(3);
	EXPECT(3);
	iterate();
	EXPECT(1);
}

/* However many items of a crowd there are, a heavy one has its turn. */
static void test_crowd_is_bounded(void **state)
{
	(void)state;
	turn_item_init(&one.users[1].item, 7, on_run);
	one.users[0].takes_us = one.users[1].takes_us = LONG_US;
	spend(0, 100 * TURN_ITEM_US);
	add(0);
	for (unsigned i = 0; i <= TURN_AHEAD_MAX; i++) {
		one.turn.crowds[7] = (struct turn_spent){4 * TURN_CROWD_US, clock_second()};
		one.turn.lights[0] = (struct turn_light){clock_second(), 999};
		spend(1, 0);
		add(1);
		iterate();
	}
	assert_int_equal(one.n_runs, TURN_AHEAD_MAX + 1);
	assert_int_equal(one.runs[TURN_AHEAD_MAX - 1], 1);
	assert_int_equal(one.runs[TURN_AHEAD_MAX], 0);
	assert_true(turn_waits(&one.users[1].item));
}

static void test_no_crowd(void **state)
{
	(void)state;
	turn_item_init(&one.users[0].item, TURN_NO_CROWD, on_run);
	turn_item_init(&one.users[1].item, TURN_NO_CROWD, on_run);
	one.users[0].takes_us = TURN_CROWD_US;
	add(0);
	add(1);
	EXPECT(0, 1);
}

/* What does not fit into an iteration waits, and keeps its place; light items do not wait. */
static void test_shares(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		one.users[i].takes_us = LONG_US;
		spend(i, 8 * TURN_ITEM_US);
		add(i);
	}
	add(7);
	EXPECT(7);
	iterate();
	EXPECT(0);
	add(7);
	add(0);
	EXPECT(7);
	for (size_t i = 0; i < 4; i++) {
		iterate();
	}
	EXPECT(1, 2, 3, 0);
	iterate();
	expect(0, NULL);
}

/* From then on it waits with the new crowd, and pays for it. */
static void test_other_crowd(void **state)
{
	(void)state;
	turn_item_init(&one.users[0].item, TURN_NO_CROWD, on_run);
	one.turn.crowds[7] = (struct turn_spent){4 * TURN_CROWD_US, clock_second()};
	one.users[0].takes_us = 1000;
	add(0);
	EXPECT(0);
	turn_item_set_crowd(&one.users[0].item, 7);
	add(0);
	assert_true(turn_waits(&one.users[0].item));
	iterate();
	EXPECT(0);
	turn_item_set_crowd(&one.users[0].item, TURN_CROWDS + 8);
	assert_int_equal(one.turn.crowds[8].us, 0);
	add(0);
	EXPECT(0);
	assert_true(one.turn.crowds[8].us >= 1000);
	turn_item_set_crowd(&one.users[0].item, TURN_NO_CROWD);
	assert_int_equal(one.users[0].item.crowd, TURN_NO_CROWD);
}

/* Where nobody waits for them, heavy items run on. */
static void test_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < TURN_LIGHTS; i++) {
		one.turn.lights[i].second = clock_second() - TURN_ALONE_S - 1;
	}
	for (size_t i = 0; i < 3; i++) {
		one.users[i].takes_us = TURN_ALONE_US / 2;
		spend(i, 8 * TURN_ITEM_US);
		add(i);
	}
	assert_false(turn_is_pressed(&one.turn, &one.users[0].item));
	iterate();
	EXPECT(0, 1);
	iterate();
	EXPECT(2);
}

/* Light items of its own crowd, and of none, do not press an item. */
static void test_whose(void **state)
{
	(void)state;
	turn_begin(&one.turn);
	for (size_t i = 0; i < TURN_LIGHTS; i++) {
		one.turn.lights[i].second = clock_second() - TURN_ALONE_S - 1;
	}
	spend(0, 16 * TURN_ITEM_US);
	turn_item_init(&one.users[1].item, 0, on_run);
	turn_item_init(&one.users[2].item, TURN_NO_CROWD, on_run);
	add(1);
	add(2);
	EXPECT(1, 2);
	assert_false(turn_is_pressed(&one.turn, &one.users[0].item));
	add(3);
	assert_true(turn_is_pressed(&one.turn, &one.users[0].item));
	/* One of its own after that changes nothing. */
	spend(1, 0);
	add(1);
	assert_true(turn_is_pressed(&one.turn, &one.users[0].item));
	assert_false(turn_is_pressed(&one.turn, &one.users[3].item));
}

static void test_removed(void **state)
{
	(void)state;
	spend(0, 8 * TURN_ITEM_US);
	spend(1, 8 * TURN_ITEM_US);
	add(0);
	add(1);
	turn_remove(&one.turn, &one.users[0].item);
	turn_remove(&one.turn, &one.users[0].item);
	iterate();
	EXPECT(1);
	one.users[2].leaves = true;
	one.users[2].takes_us = TURN_ITEM_US;
	add(2);
	EXPECT(2);
	assert_int_equal(one.users[2].item.spent.us, 0);
}

static void add_another(struct turn_item *item)
{
	turn_item_init(item, 0, on_run);
	turn_add(&one.turn, item);
	turn_add(&one.turn, &one.users[1].item);
}

/* Nothing is called from within a turn. */
static void test_not_nested(void **state)
{
	(void)state;
	turn_item_init(&one.users[0].item, 0, add_another);
	add(0);
	expect(0, NULL);
	iterate();
	EXPECT(0, 1);
}

static void leave_and_add_another(struct turn_item *item)
{
	turn_remove(&one.turn, item);
	turn_add(&one.turn, &one.users[1].item);
	assert_int_equal(one.n_runs, 0);
	clock_pass_us(TURN_ITEM_US);
}

/* An item that removes itself while it runs still runs: another one waits until it returns, and is
 * not charged for its time. */
static void test_not_nested_when_removed(void **state)
{
	(void)state;
	turn_item_init(&one.users[0].item, 0, leave_and_add_another);
	add(0);
	expect(0, NULL);
	iterate();
	EXPECT(1);
	assert_false(is_heavy(&one.turn, &one.users[1].item));
}

/* What is added last waits for the share like crowded items, although it is light. */
static void test_last(void **state)
{
	(void)state;
	one.users[0].takes_us = one.users[1].takes_us = TURN_ALONE_US + 1;
	for (size_t i = 0; i < 2; i++) {
		turn_add_last(&one.turn, &one.users[i].item);
		turn_add_last(&one.turn, &one.users[i].item);
	}
	assert_int_equal(one.n_runs, 0);
	add(2);
	EXPECT(2);
	iterate();
	EXPECT(0);
	add(1);
	iterate();
	EXPECT(1);
	iterate();
	expect(0, NULL);
}

/* What is charged outside of a turn counts as what is spent in it. */
static void test_charge(void **state)
{
	(void)state;
	turn_begin(&one.turn);
	turn_charge(&one.turn, &one.users[0].item, TURN_ITEM_US - 1);
	assert_false(is_heavy(&one.turn, &one.users[0].item));
	turn_charge(&one.turn, &one.users[0].item, 1);
	assert_true(is_heavy(&one.turn, &one.users[0].item));
	assert_int_equal(one.turn.crowds[0].us, TURN_ITEM_US);
	turn_item_init(&one.users[1].item, TURN_NO_CROWD, on_run);
	turn_charge(&one.turn, &one.users[1].item, 1);
	assert_int_equal(one.turn.crowds[TURN_NO_CROWD].us, 0);
}

/* The same for what is done for a crowd without an item. */
static void test_end(void **state)
{
	(void)state;
	turn_begin(&one.turn);
	clock_pass_us(3);
	turn_end(&one.turn, 0);
	assert_int_equal(one.turn.crowds[0].us, 3);
	clock_pass_us(1);
	turn_begin(&one.turn);
	clock_pass_us(5);
	turn_end(&one.turn, TURN_CROWDS + 1);
	assert_int_equal(one.turn.crowds[0].us, 3);
	assert_int_equal(one.turn.crowds[1].us, 5);
	assert_false(is_heavy(&one.turn, &one.users[1].item));
}

/* Others have the processor, or the process is stopped, while an item runs. */
static void on_run_with_pause(struct turn_item *item)
{
	on_run(item);
	clock_stand_us(100 * TURN_CROWD_US);
}

static void test_pause_is_nobodys(void **state)
{
	(void)state;
	turn_item_init(&one.users[0].item, 0, on_run_with_pause);
	one.users[0].takes_us = 1000;
	add(0);
	EXPECT(0);
	assert_int_equal(one.users[0].item.spent.us, 1000);
	assert_int_equal(one.turn.crowds[0].us, 1000);
	assert_false(is_heavy(&one.turn, &one.users[0].item));
	/* The same without an item. */
	turn_begin(&one.turn);
	clock_pass_us(3);
	clock_stand_us(100 * TURN_CROWD_US);
	turn_end(&one.turn, 1);
	assert_int_equal(one.turn.crowds[1].us, 3);
}

/* What others have needed since thread time was read is charged up to TURN_LOOK_US. */
static void test_pause_after_others(void **state)
{
	(void)state;
	turn_begin(&one.turn);
	one.users[0].takes_us = TURN_LOOK_US - 1;
	add(0);
	EXPECT(0);
	turn_item_init(&one.users[1].item, 1, on_run_with_pause);
	turn_add(&one.turn, &one.users[1].item);
	EXPECT(1);
	assert_int_equal(one.users[1].item.spent.us, TURN_LOOK_US - 1);
	one.users[0].takes_us = TURN_LOOK_US;
	add(0);
	EXPECT(0);
	turn_item_init(&one.users[2].item, 2, on_run_with_pause);
	one.users[2].takes_us = 1;
	turn_add(&one.turn, &one.users[2].item);
	EXPECT(2);
	assert_int_equal(one.users[2].item.spent.us, 1);
}

/* A pause that is short enough is charged; thread time is not read for it. */
static void test_short_pause(void **state)
{
	(void)state;
	turn_begin(&one.turn);
	clock_n_looks = 0;
	clock_stand_us(TURN_LOOK_US - 1);
	turn_end(&one.turn, 0);
	assert_int_equal(one.turn.crowds[0].us, TURN_LOOK_US - 1);
	assert_int_equal(clock_n_looks, 0);
	clock_pass_us(1);
	turn_begin(&one.turn);
	assert_int_equal(clock_n_looks, 1);
	clock_stand_us(TURN_LOOK_US);
	turn_end(&one.turn, 1);
	assert_int_equal(one.turn.crowds[1].us, 0);
	assert_int_equal(clock_n_looks, 2);
}

/* The thread that makes a turn is not the one that runs it, and has used more time. */
static void test_made_by_another(void **state)
{
	(void)state;
	one.turn.thread_ns = UINT64_MAX;
	clock_pass_us(TURN_LOOK_US);
	turn_begin(&one.turn);
	clock_pass_us(TURN_ITEM_US);
	turn_end(&one.turn, 0);
	assert_int_equal(one.turn.crowds[0].us, TURN_ITEM_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_light),
		TEST(test_time_makes_heavy),
		TEST(test_limit),
		TEST(test_halved),
		TEST(test_crowd),
		TEST(test_crowd_pays),
		TEST(test_no_crowd),
		TEST(test_shares),
		TEST(test_alone),
		TEST(test_whose),
		TEST(test_removed),
		TEST(test_last),
		TEST(test_not_nested),
		TEST(test_not_nested_when_removed),
		TEST(test_crowd_is_bounded),
		TEST(test_charge),
		TEST(test_other_crowd),
		TEST(test_end),
		TEST(test_pause_is_nobodys),
		TEST(test_short_pause),
		TEST(test_pause_after_others),
		TEST(test_made_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
