/* SPDX-License-Identifier: MIT */
#include "common/thread-time.h"

#include <time.h>

enum { NS_PER_SECOND = 1000 * 1000 * 1000 };

uint64_t thread_time_ns(void)
{
	struct timespec time = {0};

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) < 0) {
		/* A sandbox around the program may refuse it. The clock is at least as fast. */
		(void)clock_gettime(CLOCK_MONOTONIC, &time);
	}
	return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}
