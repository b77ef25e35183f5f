/* SPDX-License-Identifier: MIT */
/*
 * A time-out comes after the reads, and after a grace when the thread stood still. Each test runs a
 * real loop and records the order of events. The time is the test's own: a timer of libuv runs at
 * once, and what it was set to is noted.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "common/timeout.h"

enum {
	TIME_MS = 5000,
	NOW_MS = 100000,
	/* Longer than what the timers of libuv are set to, so that both events are there when the
	 * loop begins. */
	LONG_MS = 5,
};

static struct {
	uv_loop_t loop;
	struct timeout timeout;
	uv_poll_t poll;
	int pipe[2];
	uint64_t now, set_to;
	uint64_t clock; /* if it has gone on since the loop looked at it; 0: it has not */
	char log[32];
} one;

/* These take the place of libuv's. */

uint64_t uv_now(const uv_loop_t *loop)
{
	(void)loop;
	return one.now;
}

uint64_t uv_hrtime(void)
{
	return (one.clock ? one.clock : one.now) * 1000000;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
	static int (*start)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);

	if (!start) {
		*(void **)&start = dlsym(RTLD_NEXT, "uv_timer_start");
	}
	one.set_to = timeout;
	return start(timer, callback, timeout ? 1 : 0, repeat);
}

static void note(char what)
{
	size_t n = strlen(one.log);

	assert_true(n < sizeof(one.log) - 1);
	one.log[n] = what;
}

static void on_timeout(struct timeout *timeout)
{
	assert_ptr_equal(timeout, &one.timeout);
	note('t');
}

static void on_other(struct timeout *timeout)
{
	assert_ptr_equal(timeout, &one.timeout);
	note('o');
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	char byte;

	(void)status;
	(void)events;
	note('r');
	assert_int_equal(read(one.pipe[0], &byte, 1), 1);
	uv_poll_stop(poll);
}

static int set_up(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.now = NOW_MS;
	assert_int_equal(uv_loop_init(&one.loop), 0);
	timeout_init(&one.timeout, &one.loop);
	assert_int_equal(pipe(one.pipe), 0);
	assert_int_equal(uv_poll_init(&one.loop, &one.poll, one.pipe[0]), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	uv_close((uv_handle_t *)&one.timeout.uv, NULL);
	uv_close((uv_handle_t *)&one.poll, NULL);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	close(one.pipe[0]);
	close(one.pipe[1]);
	return uv_loop_close(&one.loop);
}

/* Something arrives, and the timer of libuv is due before the loop polls. In this mode every libuv
 * begins with the timers. */
static void run_late(void)
{
	uv_poll_start(&one.poll, UV_READABLE, on_readable);
	assert_int_equal(write(one.pipe[1], "x", 1), 1);
	uv_sleep(LONG_MS);
	uv_run(&one.loop, UV_RUN_DEFAULT);
}

/* Runs what is due until the timer is set to @ms. */
static void run_until_set(uint64_t ms)
{
	for (int i = 0; i < LONG_MS && one.set_to != ms; i++) {
		uv_sleep(1);
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(one.set_to, ms);
}

static void test_reads_come_first(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	assert_int_equal(one.set_to, TIME_MS);
	one.now += TIME_MS;
	run_late();
	assert_string_equal(one.log, "rt");
}

static void test_plan_does_not_wait(void **state)
{
	(void)state;
	timeout_plan(&one.timeout, on_timeout, 1);
	one.now += TIME_MS;
	run_late();
	assert_string_equal(one.log, "tr");
}

static void test_stopped(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, 1);
	timeout_stop(&one.timeout);
	run_late();
	assert_string_equal(one.log, "r");
}

/* The callback is called once, and may set the timer again. */
static void on_again(struct timeout *timeout)
{
	note('a');
	timeout_start(timeout, on_timeout, 0);
}

static void test_again(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_again, 0);
	run_late();
	assert_string_equal(one.log, "rat");
}

/* Something arrives in the poll, and the owner sets the timer again: the time stays over. */
static void test_over(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	one.now += TIME_MS;
	run_until_set(1);
	one.set_to = 0;
	timeout_start(&one.timeout, on_other, 0);
	timeout_start(&one.timeout, on_other, -TIMEOUT_STILL_MS - 1);
	assert_int_equal(one.set_to, 0);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	assert_string_equal(one.log, "o");
	timeout_start(&one.timeout, on_other, -TIMEOUT_STILL_MS - 1);
	assert_int_equal(one.set_to, TIMEOUT_GRACE_MS);
}

/* Whatever the owner does in each iteration, the time that is over stays over. */
static void test_over_before_it_ran(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	one.now += TIME_MS - 1;
	one.set_to = 0;
	timeout_start(&one.timeout, on_timeout, 0);
	assert_int_equal(one.timeout.due_ms, one.now);
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	one.now += TIME_MS;
	one.set_to = 0;
	timeout_start(&one.timeout, on_other, -1);
	assert_int_equal(one.set_to, 0);
	assert_int_equal(one.timeout.due_ms, one.now);
	assert_true(timeout_is_set(&one.timeout));
	run_late();
	assert_string_equal(one.log, "ro");
	assert_false(timeout_is_set(&one.timeout));
}

/* Late by what a thread that runs can be late by: there is no grace. */
static void test_late(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	one.now += TIME_MS + TIMEOUT_STILL_MS;
	run_late();
	assert_string_equal(one.log, "rt");
	assert_int_equal(one.set_to, 1);
}

static void test_stood_still(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	one.now += TIME_MS + TIMEOUT_STILL_MS + 1;
	run_until_set(TIMEOUT_GRACE_MS);
	assert_string_equal(one.log, "");
	one.now += TIMEOUT_GRACE_MS;
	run_late();
	assert_string_equal(one.log, "rt");
}

/* The thread stands still during each grace: the last one that it gets is followed by the time-out,
 * after a poll. */
static void test_always_stood_still(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	one.now += TIME_MS;
	for (int i = 0; i < TIMEOUT_GRACES_MAX; i++) {
		one.set_to = 0;
		one.now += TIMEOUT_STILL_MS + 1;
		run_until_set(TIMEOUT_GRACE_MS);
		assert_string_equal(one.log, "");
		one.now += TIMEOUT_GRACE_MS;
	}
	one.now += TIMEOUT_STILL_MS + 1;
	run_late();
	assert_string_equal(one.log, "rt");
	assert_int_equal(one.timeout.due_ms, one.now - TIMEOUT_STILL_MS - 1);
}

/* A deadline that passed while the thread stood still begins the first of them. */
static void test_always_stood_still_from_start(void **state)
{
	(void)state;
	for (int i = 0; i < TIMEOUT_GRACES_MAX; i++) {
		one.set_to = 0;
		if (i == 0) {
			timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
		} else {
			one.now += TIMEOUT_STILL_MS + 1;
		}
		run_until_set(TIMEOUT_GRACE_MS);
		one.now += TIMEOUT_GRACE_MS;
	}
	one.now += TIMEOUT_STILL_MS + 1;
	run_late();
	assert_string_equal(one.log, "rt");
	assert_int_equal(one.timeout.due_ms, one.now - TIMEOUT_STILL_MS - 1);
}

/* The next time-out has as many graces as the first. */
static void test_graces_anew(void **state)
{
	(void)state;
	test_always_stood_still(state);
	memset(one.log, 0, sizeof(one.log));
	test_always_stood_still(state);
}

static void on_timeout_then(struct timeout *timeout)
{
	note('n');
	timeout_start(timeout, on_timeout, -TIMEOUT_STILL_MS - 1 - TIMEOUT_GRACE_MS);
}

/* One that the callback sets has a grace, too, although its deadline passed at the same time: it
 * may be for something that was never waited for. */
static void test_graces_of_next(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout_then, -TIMEOUT_STILL_MS - 1);
	one.now += TIMEOUT_GRACE_MS;
	run_until_set(1);
	run_until_set(TIMEOUT_GRACE_MS);
	assert_string_equal(one.log, "n");
	one.now += TIMEOUT_GRACE_MS;
	run_late();
	assert_string_equal(one.log, "nrt");
}

/* Something was read before the timer could run, and its owner looks at the deadline again. */
static void test_passed_deadline(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	one.now += TIME_MS + TIMEOUT_STILL_MS + 1;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	run_until_set(TIMEOUT_GRACE_MS);
	one.now += TIMEOUT_GRACE_MS;
	run_late();
	assert_string_equal(one.log, "rt");
}

/* What arrives in the grace moves the timer, but not before the end of the grace. */
static void test_set_in_grace(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	one.now += 1;
	timeout_start(&one.timeout, on_other, -TIMEOUT_STILL_MS - 2);
	assert_int_equal(one.set_to, TIMEOUT_GRACE_MS - 1);
	timeout_stop(&one.timeout);
	timeout_start(&one.timeout, on_other, 0);
	assert_int_equal(one.set_to, TIMEOUT_GRACE_MS - 1);
	one.now += TIMEOUT_GRACE_MS - 1;
	one.set_to = 0;
	timeout_start(&one.timeout, on_other, 0);
	assert_int_equal(one.set_to, 0);
	run_late();
	assert_string_equal(one.log, "ro");
}

/* The grace ends while the loop polls, and what arrives then makes the owner look at the deadline
 * again, before the timer could run: there is no second grace. */
static void test_set_at_end_of_grace(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	one.now += TIMEOUT_GRACE_MS;
	one.set_to = 0;
	timeout_start(&one.timeout, on_other, -TIMEOUT_STILL_MS - 1 - TIMEOUT_GRACE_MS);
	assert_int_equal(one.set_to, 0);
	one.now += 1;
	timeout_start(&one.timeout, on_other, -TIMEOUT_STILL_MS - 2 - TIMEOUT_GRACE_MS);
	assert_int_equal(one.set_to, 0);
	run_late();
	assert_string_equal(one.log, "ro");
}

/* The thread was stopped after the loop looked at the clock, and before the time is set. */
static void test_stopped_in_callback(void **state)
{
	(void)state;
	one.clock = one.now + TIME_MS + TIMEOUT_STILL_MS / 2;
	timeout_start(&one.timeout, on_timeout, TIME_MS);
	assert_int_equal(one.timeout.due_ms, one.clock + TIME_MS);
	assert_int_equal(one.set_to, one.clock + TIME_MS - one.now);
	one.clock = 0;
}

/* A later end takes the place of the grace. */
static void test_set_beyond_grace(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	timeout_start(&one.timeout, on_other, TIME_MS);
	assert_int_equal(one.set_to, TIME_MS);
	timeout_start(&one.timeout, on_other, 0);
	assert_int_equal(one.set_to, 0);
}

static void test_plan_in_grace(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	timeout_plan(&one.timeout, on_other, 0);
	assert_int_equal(one.set_to, 0);
	run_late();
	assert_string_equal(one.log, "or");
}

/* Plans take the place of a time-out, which is set again afterwards: it has one grace. */
static void test_plans_in_grace(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	one.now += TIMEOUT_GRACE_MS - 1;
	timeout_plan(&one.timeout, on_other, 0);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - TIMEOUT_GRACE_MS);
	assert_int_equal(one.set_to, 1);
	one.now += 2;
	timeout_plan(&one.timeout, on_other, 0);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - TIMEOUT_GRACE_MS - 2);
	assert_int_equal(one.set_to, 0);
	run_late();
	assert_string_equal(one.log, "oort");
}

/* Stopped and set again at the end of the grace, it has no other one. What passes later does. */
static void test_stopped_in_grace(void **state)
{
	(void)state;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	one.now += TIMEOUT_GRACE_MS;
	timeout_stop(&one.timeout);
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1 - TIMEOUT_GRACE_MS);
	assert_int_equal(one.set_to, 0);
	run_late();
	assert_string_equal(one.log, "rt");
	one.now += TIMEOUT_STILL_MS + 1;
	timeout_start(&one.timeout, on_timeout, -TIMEOUT_STILL_MS - 1);
	assert_int_equal(one.set_to, TIMEOUT_GRACE_MS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_reads_come_first),
		TEST(test_plan_does_not_wait),
		TEST(test_stopped),
		TEST(test_again),
		TEST(test_over),
		TEST(test_over_before_it_ran),
		TEST(test_late),
		TEST(test_stood_still),
		TEST(test_always_stood_still),
		TEST(test_always_stood_still_from_start),
		TEST(test_graces_anew),
		TEST(test_graces_of_next),
		TEST(test_passed_deadline),
		TEST(test_set_in_grace),
		TEST(test_set_at_end_of_grace),
		TEST(test_set_beyond_grace),
		TEST(test_stopped_in_callback),
		TEST(test_plan_in_grace),
		TEST(test_plans_in_grace),
		TEST(test_stopped_in_grace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
