/* SPDX-License-Identifier: MIT */
/* Turns by the clocks of the system, on a machine that is busy with something else. */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/thread-time.h"
#include "common/turn.h"

enum {
	NS_PER_US = 1000,
	N_HOGS = 3,
	N_TURNS = 5,
	N_ROUNDS_MAX = 200,
	/* Together less than TURN_ITEM_US, also with TURN_LOOK_US more for each. */
	WORK_US = TURN_ITEM_US / N_TURNS - 2 * TURN_LOOK_US,
	N_PARTS = 4,
	PAUSE_US = 4 * TURN_CROWD_US,
	IS_RIGHT = 17,
};

static struct {
	uv_loop_t loop;
	struct turn turn;
	struct turn_item item;
} one;

static void work(struct turn_item *item)
{
	(void)item;
	for (size_t i = 0; i < N_PARTS; i++) {
		uint64_t end_ns = thread_time_ns() + (uint64_t)WORK_US / N_PARTS * NS_PER_US;

		while (thread_time_ns() < end_ns) {
		}
		/* On an idle machine the kernel would let all of it go through. */
		sched_yield();
	}
}

static void be_stopped(struct turn_item *item)
{
	(void)item;
	raise(SIGSTOP);
}

static void begin(void (*run)(struct turn_item *item))
{
	assert_int_equal(uv_loop_init(&one.loop), 0);
	turn_init(&one.turn, &one.loop);
	turn_item_init(&one.item, 0, run);
}

static void end(void)
{
	turn_close(&one.turn);
	assert_int_equal(uv_run(&one.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&one.loop), 0);
}

static void take_turn(void)
{
	turn_begin(&one.turn);
	turn_add(&one.turn, &one.item);
}

static pid_t start_hog(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent) {
		}
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

/* This process and the hogs share one processor. */
static void stay_on_one_processor(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	assert_true(cpu >= 0);
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* Returns how long the turns of an item of its own have taken by the clock. */
static uint64_t take_turns(void)
{
	uint64_t clock_us = 0;

	turn_item_init(&one.item, TURN_NO_CROWD, work);
	for (size_t i = 0; i < N_TURNS; i++) {
		sched_yield();
		uint64_t begin_ns = uv_hrtime();

		take_turn();
		clock_us += (uv_hrtime() - begin_ns) / NS_PER_US;
		assert_true(one.item.spent.us < TURN_ITEM_US);
	}
	return clock_us;
}

/* Goes on until turns have taken so long that they would make an item heavy. */
static void test_hogs(void **state)
{
	pid_t hogs[N_HOGS];
	cpu_set_t before;
	bool was_held_up = false;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	stay_on_one_processor();
	for (size_t i = 0; i < N_HOGS; i++) {
		hogs[i] = start_hog();
	}
	begin(work);
	for (size_t i = 0; i < N_ROUNDS_MAX && !was_held_up; i++) {
		was_held_up = take_turns() >= 2ULL * TURN_ITEM_US;
	}
	for (size_t i = 0; i < N_HOGS; i++) {
		kill(hogs[i], SIGKILL);
		waitpid(hogs[i], NULL, 0);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_true(was_held_up);
	end();
}

/* In the process that is stopped: whether its item was charged with that. */
static void run_stopped(void)
{
	begin(be_stopped);
	uint64_t begin_ns = uv_hrtime();

	take_turn();
	bool has_stood = uv_hrtime() - begin_ns >= (uint64_t)PAUSE_US * NS_PER_US;

	_exit(has_stood && one.item.spent.us < TURN_ITEM_US ? IS_RIGHT : 1);
}

static void test_stop(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		run_stopped();
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	usleep(PAUSE_US);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), IS_RIGHT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hogs),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
