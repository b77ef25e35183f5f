/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A clock that stands still until the test moves it, in place of libuv's uv_hrtime() and of the
 * thread time (common/thread-time.h): for the program as well as for the test. What is bounded by
 * time is then bounded by what the test says, however busy the machine is. The clock of a loop's
 * timers is not this one: see clock_follow().
 *
 * For one source file of a program.
 */
#include <stdint.h>
#include <uv.h>

#include "common/thread-time.h"

enum { CLOCK_NS_PER_US = 1000, CLOCK_MS_PER_S = 1000, CLOCK_NS_PER_S = 1000 * 1000 * 1000 };

/* At the beginning of a second. */
static uint64_t clock_ns = UINT64_C(1000) * CLOCK_NS_PER_S;

uint64_t uv_hrtime(void)
{
	return clock_ns;
}

/* What the thread did not run of the time that has passed, and how often that was asked for. */
static uint64_t clock_stood_ns;
static unsigned clock_n_looks;

uint64_t thread_time_ns(void)
{
	clock_n_looks++;
	return clock_ns - clock_stood_ns;
}

/* To the second that @loop is in. A time-out (common/timeout.h) counts from the later one of both
 * clocks. It is late, and a test stuck, where a loop is behind this clock: on a machine that has
 * not been up for as long as this clock says. */
static inline void clock_follow(const uv_loop_t *loop)
{
	clock_ns = uv_now(loop) / CLOCK_MS_PER_S * CLOCK_NS_PER_S;
}

static inline void clock_pass_us(unsigned us)
{
	clock_ns += (uint64_t)us * CLOCK_NS_PER_US;
}

/* Time passes in which the thread does not run. */
static inline void clock_stand_us(unsigned us)
{
	clock_pass_us(us);
	clock_stood_ns += (uint64_t)us * CLOCK_NS_PER_US;
}

/* The second that common/turn.h counts time in. */
static inline uint32_t clock_second(void)
{
	return (uint32_t)(clock_ns / CLOCK_NS_PER_S);
}
