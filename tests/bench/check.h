/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Checks for benchmarks, which end the program with a message, and a clock.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/* Ends the program with the message of errno. */
static inline void check(bool good, const char *what)
{
	if (!good) {
		die("%s: %s", what, strerror(errno));
	}
}

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec time;

	check(clock_gettime(id, &time) == 0, "clock_gettime");
	return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}
