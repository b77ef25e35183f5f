/* SPDX-License-Identifier: MIT */
/*
 * A library that is preloaded (LD_PRELOAD) and measures how much CPU time each iteration of a loop
 * of libuv takes: from the end of one wait for events to the beginning of the next. Unlike the time
 * of the clock, it does not grow when the machine has no time for the thread.
 *
 * The driver (tests/support/loop-meter.mjs) reads the numbers from a file that all processes share;
 * the environment variable LOOP_METER names it. It is mapped before main(), so that a sandbox does
 * not matter.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	/* libuv asks for so many events at once. libmicrohttpd, which waits within an iteration,
	 * asks for fewer. */
	LIBUV_EVENTS = 1024,
	STEP_US = 100,
	STEPS = 2000,
};

/* The driver knows this layout. */
struct meter {
	_Atomic uint64_t n_by_steps[STEPS]; /* iterations, by their time; the last: and more */
	_Atomic uint64_t burn_us;           /* CPU time that one iteration is to waste */
};

static struct meter *meter;
static _Thread_local uint64_t begin_us; /* of the iteration; 0: none */

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("LOOP_METER");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd >= 0) {
		void *mapped =
			mmap(NULL, sizeof(*meter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		meter = mapped == MAP_FAILED ? NULL : mapped;
		close(fd);
	}
}

static uint64_t cpu_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void end_iteration(void)
{
	uint64_t burn_us = atomic_exchange(&meter->burn_us, 0);
	uint64_t burnt_us = cpu_us() + burn_us;

	while (burn_us && cpu_us() < burnt_us) {
	}
	uint64_t step = (cpu_us() - begin_us) / STEP_US;

	meter->n_by_steps[step < STEPS ? step : STEPS - 1]++;
}

int epoll_wait(int epoll, struct epoll_event *events, int n, int timeout)
{
	static __typeof__(epoll_wait) *real;
	bool is_loop = meter && n == LIBUV_EVENTS;

	if (!real) {
		real = (__typeof__(epoll_wait) *)dlsym(RTLD_NEXT, "epoll_wait");
	}
	if (is_loop && begin_us) {
		end_iteration();
	}
	int r = real(epoll, events, n, timeout);

	if (is_loop) {
		begin_us = cpu_us();
	}
	return r;
}
