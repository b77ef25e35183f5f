/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/upstream/race-case.h"

/* Recent winners come first, recent failures last, otherwise in the order of the answer. */
static void test_history_orders(void **state)
{
	(void)state;
	note("192.0.2.1", HISTORY_FAILED);
	note("192.0.2.3", HISTORY_WON);
	note("192.0.2.4", HISTORY_FAILED);
	note("192.0.2.5", HISTORY_WON);
	begin(1);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6");
	check(0, "dial 0 192.0.2.3 of 0; @250");
	check(250, "dial 1 192.0.2.5 of 0; @500");
	check(500, "dial 2 192.0.2.2 of 0; @750");
	check(750, "dial 3 192.0.2.6 of 0; @1000");
	check(1000, "dial 4 192.0.2.1 of 0; @1250");
	check(1250, "dial 5 192.0.2.4 of 0; ");
}

/* The dead address of a first target delays only one session. */
static void test_late_behind_all_targets(void **state)
{
	(void)state;
	note("192.0.2.1", HISTORY_FAILED);
	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1");
	check(0, "resolve 1; @250");
	answer(100, "192.0.2.2");
	check(100, "dial 0 192.0.2.2 of 1; @350");
	check(350, "dial 1 192.0.2.1 of 0; ");
	tell(360, 1, RACE_CONNECTED);
	check(360, "give up 0; won 1 192.0.2.1 of 0; ");
	known("192.0.2.1", 360, HISTORY_WON);
	known("192.0.2.2", 360, HISTORY_FAILED);
}

/* But it waits for the DNS no longer than a head start. */
static void test_late_and_slow_answers(void **state)
{
	(void)state;
	note("192.0.2.1", HISTORY_FAILED);
	note("192.0.2.2", HISTORY_FAILED);
	begin(2);
	check(0, "resolve 0; ");
	answer(100, "192.0.2.1 192.0.2.2");
	check(100, "resolve 1; @350");
	check(349, "@350");
	check(350, "dial 0 192.0.2.1 of 0; @600");
	tell(400, 0, RACE_FAILED);
	check(400, "dial 1 192.0.2.2 of 0; ");
	answer(500, "192.0.2.3");
	check(500, "@650");
	check(650, "dial 2 192.0.2.3 of 1; ");

	/* Nor does waiting shorten the head start of another. */
	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.4 192.0.2.1");
	check(100, "dial 0 192.0.2.4 of 0; resolve 1; @350");
	check(350, "dial 1 192.0.2.1 of 0; ");
}

/* After a standstill, several connections are there: none of them was too slow. */
static void test_second(void **state)
{
	(void)state;
	begin(1);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4");
	check(0, "dial 0 192.0.2.1 of 0; @250");
	check(250, "dial 1 192.0.2.2 of 0; @500");
	check(500, "dial 2 192.0.2.3 of 0; @750");
	tell(9000, 0, RACE_SECOND);
	tell(9000, 1, RACE_CONNECTED);
	check(9000, "give up 2; won 1 192.0.2.2 of 0; ");
	assert_true(race_has_others(&race));
	known("192.0.2.1", 9000, HISTORY_NOTHING);
	known("192.0.2.2", 9000, HISTORY_NOTHING);
	known("192.0.2.3", 9000, HISTORY_FAILED);

	/* The first one wins, as usual. */
	begin(1);
	check(9000, "resolve 0; ");
	answer(9000, "192.0.2.1 192.0.2.2");
	check(9000, "dial 0 192.0.2.1 of 0; @9250");
	check(9250, "dial 1 192.0.2.2 of 0; ");
	tell(9600, 1, RACE_SECOND);
	tell(9600, 0, RACE_CONNECTED);
	check(9600, "won 0 192.0.2.1 of 0; ");
	known("192.0.2.2", 9600, HISTORY_NOTHING);
}

static void test_only_late(void **state)
{
	(void)state;
	note("192.0.2.1", HISTORY_FAILED);
	begin(1);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1");
	check(0, "dial 0 192.0.2.1 of 0; ");
	tell(10, 0, RACE_CONNECTED);
	check(10, "won 0 192.0.2.1 of 0; ");
	/* It works again and was first anyway, so no note is needed. */
	known("192.0.2.1", 10, HISTORY_NOTHING);
}

/* Both notes expire at the same time; then the order is as at the beginning. */
static void test_history_expires(void **state)
{
	(void)state;
	note("192.0.2.1", HISTORY_FAILED);
	note("192.0.2.2", HISTORY_WON);
	begin(1);
	check(HISTORY_MS - 1, "resolve 0; ");
	answer(HISTORY_MS - 1, "192.0.2.1 192.0.2.2");
	assert_int_equal(race_next(&race, at(HISTORY_MS - 1)).address->v4.sin_addr.s_addr,
			 htonl(0xc0000202));
	begin(1);
	check(HISTORY_MS, "resolve 0; ");
	answer(HISTORY_MS, "192.0.2.1 192.0.2.2");
	assert_int_equal(race_next(&race, at(HISTORY_MS)).address->v4.sin_addr.s_addr,
			 htonl(0xc0000201));
}

/* More late addresses than may be dialled. */
static void test_late_bound(void **state)
{
	char text[32];

	(void)state;
	begin(RACE_ATTEMPTS_MAX + 1);
	for (size_t i = 0; i <= RACE_ATTEMPTS_MAX; i++) {
		assert_int_equal(race_next(&race, at(0)).kind, RACE_RESOLVE);
		snprintf(text, sizeof(text), "192.0.2.%zu", i);
		note(text, HISTORY_FAILED);
		answer(0, text);
		/* Duplicates count once. */
	}
	for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++) {
		struct race_action action = race_next(&race, at(0));

		assert_int_equal(action.kind, RACE_DIAL);
		assert_int_equal(action.target, i);
		tell(0, action.attempt, RACE_FAILED);
	}
	check(0, "lost; ");
}

static void test_late_repeated(void **state)
{
	(void)state;
	note("192.0.2.1", HISTORY_FAILED);
	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.1");
	check(0, "resolve 1; @250");
	answer(0, "192.0.2.1");
	check(0, "dial 0 192.0.2.1 of 0; ");
	tell(0, 0, RACE_FAILED);
	check(0, "lost; ");
}

/* It connects faster than the rest but is unusable: it must not take part in the race. */
static void test_unusable_comes_last(void **state)
{
	(void)state;
	note_unusable("192.0.2.1", domain);
	note("192.0.2.2", HISTORY_FAILED);
	/* That it connects does not change that. */
	note("192.0.2.1", HISTORY_WON);
	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.2");
	check(0, "resolve 1; @250");
	answer(0, "192.0.2.3");
	check(0, "dial 0 192.0.2.3 of 1; @250");
	check(250, "dial 1 192.0.2.2 of 0; @3250");
	check(3249, "@3250");
	check(3250, "dial 2 192.0.2.1 of 0; ");

	/* There is nothing to wait for: it is dialled at once. */
	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1");
	check(0, "resolve 1; @3000");
	answer(10, "192.0.2.3");
	check(10, "dial 0 192.0.2.3 of 1; @3010");
	tell(20, 0, RACE_FAILED);
	check(20, "dial 1 192.0.2.1 of 0; ");
	tell(30, 1, RACE_CONNECTED);
	check(30, "won 1 192.0.2.1 of 0; ");
}

/* A slow lookup is waited for no longer than that; a sole address is dialled without waiting. */
static void test_unusable_and_slow_answers(void **state)
{
	(void)state;
	note_unusable("192.0.2.1", domain);
	note_unusable("192.0.2.2", domain);
	note_unusable("192.0.2.3", domain);
	begin(2);
	check(0, "resolve 0; ");
	answer(100, "192.0.2.1 192.0.2.2");
	check(100, "resolve 1; @3100");
	check(3099, "@3100");
	/* Among themselves they have the usual head start. */
	check(3100, "dial 0 192.0.2.1 of 0; @3350");
	check(3350, "dial 1 192.0.2.2 of 0; ");
	answer(3400, "192.0.2.3 192.0.2.4");
	check(3400, "@3600");
	check(3600, "dial 2 192.0.2.4 of 1; @3850");
	check(3850, "dial 3 192.0.2.3 of 1; ");

	begin(1);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1");
	check(0, "dial 0 192.0.2.1 of 0; ");
}

/* A stranger's SRV records may name any address. Whether it is usable for the stranger's domain is
 * noted for that domain only. */
static void test_unusable_for_a_stranger(void **state)
{
	(void)state;
	note_unusable("192.0.2.1", "stranger.example");
	begin(1);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.2");
	check(0, "dial 0 192.0.2.1 of 0; @250");
	tell(10, 0, RACE_CONNECTED);
	check(10, "won 0 192.0.2.1 of 0; ");
}

/* More of them than may be dialled; duplicates count once. */
static void test_last_bound(void **state)
{
	char text[32];

	(void)state;
	begin(RACE_ATTEMPTS_MAX + 1);
	for (size_t i = 0; i <= RACE_ATTEMPTS_MAX; i++) {
		assert_int_equal(race_next(&race, at(0)).kind, RACE_RESOLVE);
		snprintf(text, sizeof(text), "192.0.2.%zu", i);
		note_unusable(text, domain);
		answer(0, text);
	}
	for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++) {
		struct race_action action = race_next(&race, at(0));

		assert_int_equal(action.kind, RACE_DIAL);
		assert_int_equal(action.target, i);
		tell(0, action.attempt, RACE_FAILED);
	}
	check(0, "lost; ");
}

static void test_last_repeated(void **state)
{
	(void)state;
	note_unusable("192.0.2.1", domain);
	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.1");
	check(0, "resolve 1; @3000");
	answer(0, "192.0.2.1");
	check(0, "dial 0 192.0.2.1 of 0; ");
	tell(0, 0, RACE_FAILED);
	check(0, "lost; ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_history_orders, setup),
		cmocka_unit_test_setup(test_late_behind_all_targets, setup),
		cmocka_unit_test_setup(test_late_and_slow_answers, setup),
		cmocka_unit_test_setup(test_second, setup),
		cmocka_unit_test_setup(test_only_late, setup),
		cmocka_unit_test_setup(test_history_expires, setup),
		cmocka_unit_test_setup(test_late_bound, setup),
		cmocka_unit_test_setup(test_late_repeated, setup),
		cmocka_unit_test_setup(test_unusable_comes_last, setup),
		cmocka_unit_test_setup(test_unusable_and_slow_answers, setup),
		cmocka_unit_test_setup(test_unusable_for_a_stranger, setup),
		cmocka_unit_test_setup(test_last_bound, setup),
		cmocka_unit_test_setup(test_last_repeated, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
