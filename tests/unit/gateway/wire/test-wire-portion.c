/* SPDX-License-Identifier: MIT */
/* How much of what a client sends is read in a turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/wire/state.h"
#include "tests/unit/clock.h"

enum {
	ALONE = 288 * 1024,
	WATCHED = 8 * 1024,
	SMALL = 1024,
	CROWD = 7,
	ANOTHER_CROWD = 8,
};

static uv_loop_t loop;
static struct turn turn;
static struct wire_hub hub;
static struct wire wire;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	turn_init(&turn, &loop);
	hub = (struct wire_hub){.options.turn = &turn};
	wire = (struct wire){.hub = &hub};
	turn_item_init(&wire.turn, CROWD, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	turn_close(&turn);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

/* A light item of another crowd has run @seconds ago. */
static void let_be_watched(uint32_t seconds)
{
	turn.lights[0] = (struct turn_light){clock_second() - seconds, ANOTHER_CROWD};
}

static void test_alone(void **state)
{
	(void)state;
	wire.turn.spent = (struct turn_spent){100 * TURN_ITEM_US, clock_second()};
	assert_int_equal(wire_portion(&wire), ALONE);
	hub.options.turn = NULL;
	let_be_watched(0);
	assert_int_equal(wire_portion(&wire), ALONE);
}

static void test_watched(void **state)
{
	(void)state;
	let_be_watched(TURN_ALONE_S);
	assert_int_equal(wire_portion(&wire), WATCHED);
	let_be_watched(TURN_ALONE_S + 1);
	assert_int_equal(wire_portion(&wire), ALONE);
}

static void test_heavy(void **state)
{
	(void)state;
	let_be_watched(0);
	wire.turn.spent = (struct turn_spent){TURN_ITEM_US - 1, clock_second()};
	assert_int_equal(wire_portion(&wire), WATCHED);
	wire.turn.spent.us++;
	assert_int_equal(wire_portion(&wire), SMALL);
}

static void test_crowded(void **state)
{
	(void)state;
	let_be_watched(0);
	turn.crowds[CROWD] = (struct turn_spent){TURN_CROWD_US - 1, clock_second()};
	assert_int_equal(wire_portion(&wire), WATCHED);
	turn.crowds[CROWD].us++;
	assert_int_equal(wire_portion(&wire), SMALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_alone),
		TEST(test_watched),
		TEST(test_heavy),
		TEST(test_crowded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
