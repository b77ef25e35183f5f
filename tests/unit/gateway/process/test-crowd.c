/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/process/crowd.h"

static const struct mono start = {1000};

static bool has_left(struct crowd *crowd, size_t n_clients, struct mono time)
{
	return crowd_has_left(crowd, n_clients, n_clients, time);
}

static void test_half(void **state)
{
	struct crowd crowd = {0};

	(void)state;
	assert_false(has_left(&crowd, 4000, start));
	assert_false(has_left(&crowd, 2001, start));
	assert_true(has_left(&crowd, 2000, start));
	/* What they had may not all have been free. */
	assert_true(has_left(&crowd, 2000, mono_add_s(start, CROWD_PAUSE_S)));
	/* The peak is now theirs. */
	assert_false(has_left(&crowd, 2000, mono_add_s(start, 2 * CROWD_PAUSE_S)));
	assert_false(has_left(&crowd, 1001, mono_add_s(start, 2 * CROWD_PAUSE_S)));
	assert_true(has_left(&crowd, 1000, mono_add_s(start, 2 * CROWD_PAUSE_S)));
}

/* Those who leave behind a crowd count, however few they are, but only once. */
static void test_rest(void **state)
{
	struct crowd crowd = {0};
	struct mono end = mono_add_s(start, CROWD_PAUSE_S);

	(void)state;
	assert_false(has_left(&crowd, 4000, start));
	assert_true(has_left(&crowd, 3, start));
	assert_false(has_left(&crowd, 2, mono_add_ms(end, -1)));
	assert_true(has_left(&crowd, 2, end));
	assert_false(has_left(&crowd, 1, mono_add_s(end, CROWD_PAUSE_S)));
}

static void test_least(void **state)
{
	struct crowd crowd = {0};

	(void)state;
	assert_false(has_left(&crowd, CROWD_LEAST - 1, start));
	assert_false(has_left(&crowd, 0, start));
	assert_false(has_left(&crowd, CROWD_LEAST, start));
	assert_true(has_left(&crowd, 0, start));
}

/* A crowd that leaves within the pause is not forgotten, and it too counts twice. */
static void test_pause(void **state)
{
	struct crowd crowd = {0};
	struct mono end = mono_add_s(start, CROWD_PAUSE_S);

	(void)state;
	assert_false(has_left(&crowd, 1000, start));
	assert_true(has_left(&crowd, 0, start));
	assert_false(has_left(&crowd, 1000, mono_add_ms(start, 1)));
	assert_false(has_left(&crowd, 0, mono_add_ms(end, -1)));
	assert_true(has_left(&crowd, 0, end));
	assert_true(has_left(&crowd, 0, mono_add_s(end, CROWD_PAUSE_S)));
	assert_false(has_left(&crowd, 0, mono_add_s(end, 2 * CROWD_PAUSE_S)));
}

/* One that comes and goes between two calls. */
static void test_short(void **state)
{
	struct crowd crowd = {0};

	(void)state;
	assert_false(crowd_has_left(&crowd, 3, 3, start));
	assert_false(crowd_has_left(&crowd, CROWD_LEAST + 2, 3, start));
	assert_true(crowd_has_left(&crowd, CROWD_LEAST + 3, 3, start));
}

/* One that comes after the most were counted, and before those who are here. */
static void test_between(void **state)
{
	struct crowd crowd = {0};

	(void)state;
	assert_false(crowd_has_left(&crowd, 2 * CROWD_LEAST, 2 * CROWD_LEAST + 1, start));
	assert_false(crowd_has_left(&crowd, 0, CROWD_LEAST + 1, start));
	assert_true(crowd_has_left(&crowd, 0, CROWD_LEAST, start));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_least),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
