/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/upstream/race-case.h"

static void test_one_address(void **state)
{
	(void)state;
	begin(1);
	check(0, "resolve 0; ");
	check(100, "");
	answer(200, "192.0.2.1");
	check(200, "dial 0 192.0.2.1 of 0; ");
	check(5000, "");
	tell(5000, 0, RACE_CONNECTED);
	check(5000, "won 0 192.0.2.1 of 0; ");
	check(6000, "");
	known("192.0.2.1", 5000, HISTORY_NOTHING);
}

static void test_no_target(void **state)
{
	(void)state;
	begin(0);
	check(0, "lost; ");
	check(1, "");
}

static void test_no_address(void **state)
{
	(void)state;
	begin(2);
	check(0, "resolve 0; ");
	answer(1, "");
	check(1, "resolve 1; ");
	answer_as(2, "", RACE_ORDER_GIVEN);
	check(2, "lost; ");
	check(1000, "");
}

/* The head start is RACE_DELAY_MS, to the millisecond. */
static void test_delay(void **state)
{
	(void)state;
	begin(1);
	check(0, "resolve 0; ");
	answer(1000, "2001:db8::1 192.0.2.1");
	check(1000, "dial 0 2001:db8::1 of 0; @1250");
	check(1249, "@1250");
	check(1250, "dial 1 192.0.2.1 of 0; ");
	tell(1260, 1, RACE_CONNECTED);
	check(1260, "give up 0; won 1 192.0.2.1 of 0; ");
	/* The loser had its head start. */
	known("2001:db8::1", 1260, HISTORY_FAILED);
	known("192.0.2.1", 1260, HISTORY_WON);
}

/* The first attempt wins after the second was started: the second is not noted. */
static void test_first_wins_late(void **state)
{
	(void)state;
	begin(1);
	check(0, "resolve 0; ");
	answer(0, "2001:db8::1 192.0.2.1 192.0.2.2");
	check(0, "dial 0 2001:db8::1 of 0; @250");
	check(250, "dial 1 192.0.2.1 of 0; @500");
	tell(499, 0, RACE_CONNECTED);
	check(499, "give up 1; won 0 2001:db8::1 of 0; ");
	known("2001:db8::1", 499, HISTORY_NOTHING);
	known("192.0.2.1", 499, HISTORY_NOTHING);
}

/* The head start at n and n + 1 ms. */
static void test_beaten(void **state)
{
	(void)state;
	for (int64_t ms = 249; ms <= 250; ms++) {
		history = (struct history){0};
		begin(1);
		check(0, "resolve 0; ");
		answer(0, "192.0.2.1 192.0.2.2 192.0.2.3");
		check(0, "dial 0 192.0.2.1 of 0; @250");
		check(250, "dial 1 192.0.2.2 of 0; @500");
		tell(260, 0, RACE_FAILED);
		check(260, "dial 2 192.0.2.3 of 0; ");
		tell(250 + ms, 2, RACE_CONNECTED);
		check(250 + ms, "give up 1; won 2 192.0.2.3 of 0; ");
		known("192.0.2.1", 499, HISTORY_FAILED);
		known("192.0.2.2", 499, ms == 250 ? HISTORY_FAILED : HISTORY_NOTHING);
		known("192.0.2.3", 499, HISTORY_WON);
	}
}

/* A failure starts the next attempt at once; its head start counts from there. */
static void test_failure_starts_the_next(void **state)
{
	(void)state;
	begin(1);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4");
	check(0, "dial 0 192.0.2.1 of 0; @250");
	tell(10, 0, RACE_FAILED);
	check(10, "dial 1 192.0.2.2 of 0; @260");
	check(260, "dial 2 192.0.2.3 of 0; @510");
	/* Also when others are still running. */
	tell(300, 1, RACE_FAILED);
	check(300, "dial 3 192.0.2.4 of 0; ");
	tell(400, 3, RACE_FAILED);
	check(400, "");
	tell(500, 2, RACE_FAILED);
	check(500, "lost; ");
	known("192.0.2.1", 500, HISTORY_FAILED);
	known("192.0.2.4", 500, HISTORY_FAILED);
}

static void test_families_take_turns(void **state)
{
	static const struct {
		const char *answer, *order;
	} rows[] = {
		{"2001:db8::1 2001:db8::2 2001:db8::3 192.0.2.1 192.0.2.2",
		 "dial 0 2001:db8::1 of 0; dial 1 192.0.2.1 of 0; dial 2 2001:db8::2 of 0; dial 3 "
		 "192.0.2.2 of 0; "
		 "dial 4 2001:db8::3 of 0; lost; "},
		{"192.0.2.1 192.0.2.2 192.0.2.3 2001:db8::1",
		 "dial 0 192.0.2.1 of 0; dial 1 2001:db8::1 of 0; dial 2 192.0.2.2 of 0; dial 3 "
		 "192.0.2.3 of 0; lost; "},
		{"2001:db8::1 192.0.2.1 2001:db8::2",
		 "dial 0 2001:db8::1 of 0; dial 1 192.0.2.1 of 0; dial 2 2001:db8::2 of 0; lost; "},
		{"192.0.2.2 192.0.2.1", "dial 0 192.0.2.2 of 0; dial 1 192.0.2.1 of 0; lost; "},
	};
	struct race_action action;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[1024] = "";

		begin(1);
		check(0, "resolve 0; ");
		answer(0, rows[i].answer);
		do {
			size_t n = strlen(text);

			action = race_next(&race, at(0));
			print_action(&action, text + n, sizeof(text) - n);
			if (action.kind == RACE_DIAL) {
				tell(0, action.attempt, RACE_BROKEN);
			}
		} while (action.kind == RACE_DIAL);
		assert_string_equal(text, rows[i].order);
	}
	/* A lack of resources is not noted against the addresses. */
	assert_int_equal(history.n_entries, 0);
}

static void test_given_order(void **state)
{
	(void)state;
	begin(1);
	check(0, "resolve 0; ");
	answer_as(0, "192.0.2.1 192.0.2.2 2001:db8::1", RACE_ORDER_GIVEN);
	check(0, "dial 0 192.0.2.1 of 0; @250");
	check(250, "dial 1 192.0.2.2 of 0; @500");
	check(500, "dial 2 2001:db8::1 of 0; ");
}

/* The next target is resolved when the addresses of this one have run out, not before, and dialled
 * in its turn. */
static void test_next_target(void **state)
{
	(void)state;
	begin(3);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.2");
	check(0, "dial 0 192.0.2.1 of 0; @250");
	check(250, "dial 1 192.0.2.2 of 0; resolve 1; ");
	answer(260, "192.0.2.3");
	check(260, "@500");
	check(500, "dial 2 192.0.2.3 of 1; resolve 2; ");
	/* The answer may be late. */
	answer(2000, "192.0.2.4");
	check(2000, "dial 3 192.0.2.4 of 2; ");
	tell(2100, 2, RACE_CONNECTED);
	check(2100, "give up 0; give up 1; give up 3; won 2 192.0.2.3 of 1; ");
	known("192.0.2.1", 2100, HISTORY_FAILED);
	known("192.0.2.2", 2100, HISTORY_FAILED);
	known("192.0.2.4", 2100, HISTORY_NOTHING);
}

/* While an answer is awaited an attempt may win or fail. */
static void test_win_while_asking(void **state)
{
	(void)state;
	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1");
	check(0, "dial 0 192.0.2.1 of 0; resolve 1; ");
	tell(50, 0, RACE_CONNECTED);
	check(50, "won 0 192.0.2.1 of 0; ");

	begin(2);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1");
	check(0, "dial 0 192.0.2.1 of 0; resolve 1; ");
	tell(50, 0, RACE_FAILED);
	check(50, "");
	answer(90, "192.0.2.2");
	check(90, "dial 1 192.0.2.2 of 1; ");
}

/* No address is dialled twice, whichever answer it is in. Another port makes another address. */
static void test_repeated_addresses(void **state)
{
	(void)state;
	begin(3);
	check(0, "resolve 0; ");
	answer(0, "192.0.2.1 192.0.2.1 [::ffff:192.0.2.1]:5222 192.0.2.1:5223 192.0.2.1:5223");
	check(0, "dial 0 192.0.2.1 of 0; @250");
	check(250, "dial 1 192.0.2.1 of 0; resolve 1; ");
	answer(250, "192.0.2.1 192.0.2.1:5223");
	check(250, "resolve 2; ");
	answer(250, "");
	check(250, "");
	tell(300, 0, RACE_FAILED);
	tell(300, 1, RACE_FAILED);
	check(300, "lost; ");
}

/* Refused by policy: the next one starts at once, and refused ones do not count. */
static void test_refused(void **state)
{
	char text[32];
	struct race_action action;

	(void)state;
	begin(3);
	check(0, "resolve 0; ");
	answer(0, "10.0.0.1 192.0.2.1 10.0.0.2 192.0.2.2");
	action = race_next(&race, at(0));
	assert_int_equal(action.kind, RACE_DIAL);
	tell(0, action.attempt, RACE_REFUSED);
	check(0, "dial 0 192.0.2.1 of 0; @250");
	action = race_next(&race, at(250));
	assert_int_equal(action.attempt, 1);
	tell(250, action.attempt, RACE_REFUSED);
	check(250, "dial 1 192.0.2.2 of 0; resolve 1; ");
	known("10.0.0.1", 250, HISTORY_NOTHING);

	begin(RACE_ATTEMPTS_MAX + 1);
	for (size_t i = 0; i <= RACE_ATTEMPTS_MAX; i++) {
		assert_int_equal(race_next(&race, at(0)).kind, RACE_RESOLVE);
		snprintf(text, sizeof(text), "10.0.0.%zu", i);
		answer(0, text);
		action = race_next(&race, at(0));
		assert_int_equal(action.kind, RACE_DIAL);
		tell(0, action.attempt, RACE_REFUSED);
	}
	check(0, "lost; ");
}

static void test_attempts_bound(void **state)
{
	struct race_action action;
	char text[32];
	size_t n_dialled = 0;

	(void)state;
	begin(100);
	for (size_t i = 0; (action = race_next(&race, at(0))).kind != RACE_LOST; i++) {
		if (action.kind == RACE_RESOLVE) {
			snprintf(text, sizeof(text), "192.0.2.%zu", i);
			answer(0, text);
		} else {
			assert_int_equal(action.kind, RACE_DIAL);
			tell(0, action.attempt, RACE_FAILED);
			n_dialled++;
		}
	}
	assert_int_equal(n_dialled, RACE_ATTEMPTS_MAX);

	/* The last one may still win. */
	history = (struct history){0};
	begin(100);
	for (size_t i = 0; i < RACE_ATTEMPTS_MAX; i++) {
		assert_int_equal(race_next(&race, at(0)).kind, RACE_RESOLVE);
		snprintf(text, sizeof(text), "192.0.2.%zu", i);
		answer(0, text);
		action = race_next(&race, at(0));
		assert_int_equal(action.kind, RACE_DIAL);
		if (i + 1 < RACE_ATTEMPTS_MAX) {
			tell(0, action.attempt, RACE_FAILED);
		}
	}
	check(0, "");
	tell(9, RACE_ATTEMPTS_MAX - 1, RACE_CONNECTED);
	check(9, "won 19 192.0.2.19 of 19; ");
}

static void test_at_once_bound(void **state)
{
	struct race_action action = {.kind = RACE_NOTHING};

	(void)state;
	begin(2);
	check(0, "resolve 0; ");
	answer(0,
	       "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8");
	for (int i = 0; i < RACE_AT_ONCE_MAX; i++) {
		action = race_next(&race, at(1000 * i));
		assert_int_equal(action.kind, RACE_DIAL);
	}
	/* Six are under way: the next one waits until one has ended. */
	check(60000, "");
	tell(60000, 0, RACE_FAILED);
	check(60000, "dial 6 192.0.2.7 of 0; ");
	tell(60001, 5, RACE_FAILED);
	check(60001, "dial 7 192.0.2.8 of 0; resolve 1; ");
}

static void test_bound_of_an_answer(void **state)
{
	char text[1024] = "";
	struct race_action action;
	size_t n_dialled = 0;

	(void)state;
	for (size_t i = 0; i <= RACE_ADDRESSES_MAX; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n, "%s192.0.2.%zu", i ? " " : "", i);
	}
	begin(1);
	check(0, "resolve 0; ");
	answer(0, text);
	while ((action = race_next(&race, at(0))).kind == RACE_DIAL) {
		tell(0, action.attempt, RACE_FAILED);
		n_dialled++;
	}
	assert_int_equal(n_dialled, RACE_ADDRESSES_MAX);
}

/* Whether there are others besides the winner, in each state of a race when an attempt connects. */
static void test_others(void **state)
{
	static const struct {
		const char *what;
		size_t n_targets;
		const char *answers[3]; /* of each target in turn; NULL: not yet */
		bool is_second;         /* the second attempt wins */
		bool has_others;
	} rows[] = {
		{"one address", 1, {"192.0.2.1"}, false, false},
		{"an address that was not dialled", 1, {"192.0.2.1 192.0.2.2"}, false, true},
		{"an attempt that failed", 1, {"192.0.2.1 192.0.2.2"}, true, true},
		{"the last look-up is under way", 2, {"192.0.2.1", NULL}, false, true},
		{"the last target has no address", 2, {"192.0.2.1", ""}, false, false},
		{"the last has the same address", 2, {"192.0.2.1", "192.0.2.1"}, false, false},
		{"the last target has an address", 2, {"192.0.2.1", "192.0.2.2"}, false, true},
		{"so is one before the last", 3, {"192.0.2.1", NULL}, false, true},
		{"a late address", 2, {"192.0.2.8", "192.0.2.1"}, false, true},
		{"a last address", 2, {"192.0.2.9", "192.0.2.1"}, false, true},
		{"the first target had none", 2, {"", "192.0.2.1"}, false, false},
		{"the look-up of the third is under way", 3, {"", "192.0.2.1", NULL}, false, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct race_action action;
		size_t n_asked = 0, winner = 0;

		history = (struct history){0};
		note("192.0.2.8", HISTORY_FAILED);
		note_unusable("192.0.2.9", domain);
		begin(rows[i].n_targets);
		while ((action = race_next(&race, at(0))).kind != RACE_NOTHING) {
			if (action.kind == RACE_RESOLVE && rows[i].answers[n_asked]) {
				answer(0, rows[i].answers[n_asked++]);
			} else if (action.kind == RACE_DIAL && rows[i].is_second &&
				   action.attempt == 0) {
				tell(0, 0, RACE_FAILED);
				winner = 1;
			}
		}
		tell(1, winner, RACE_CONNECTED);
		if (race_has_others(&race) != rows[i].has_others) {
			fail_msg("%s", rows[i].what);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_address, setup),
		cmocka_unit_test_setup(test_no_target, setup),
		cmocka_unit_test_setup(test_no_address, setup),
		cmocka_unit_test_setup(test_delay, setup),
		cmocka_unit_test_setup(test_first_wins_late, setup),
		cmocka_unit_test_setup(test_beaten, setup),
		cmocka_unit_test_setup(test_failure_starts_the_next, setup),
		cmocka_unit_test_setup(test_families_take_turns, setup),
		cmocka_unit_test_setup(test_given_order, setup),
		cmocka_unit_test_setup(test_next_target, setup),
		cmocka_unit_test_setup(test_win_while_asking, setup),
		cmocka_unit_test_setup(test_repeated_addresses, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_attempts_bound, setup),
		cmocka_unit_test_setup(test_at_once_bound, setup),
		cmocka_unit_test_setup(test_bound_of_an_answer, setup),
		cmocka_unit_test_setup(test_others, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
