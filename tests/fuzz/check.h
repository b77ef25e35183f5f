/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What ends a program when a property does not hold: for the fuzz harnesses, and for models that
 * unit tests use, too. Not to be included together with cmocka.h, whose names it takes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define fail_msg(...)                                           \
	do {                                                    \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                   \
		fputc('\n', stderr);                            \
		abort();                                        \
	} while (0)
#define FUZZ_CHECK(condition)                                 \
	do {                                                  \
		if (!(condition)) {                           \
			fail_msg("not true: %s", #condition); \
		}                                             \
	} while (0)

/* The names that the helpers of the unit tests use. */
#define assert_true(condition) FUZZ_CHECK(condition)
#define assert_non_null(pointer) FUZZ_CHECK((pointer) != NULL)
#define assert_null(pointer) FUZZ_CHECK((pointer) == NULL)
#define assert_int_equal(a, b) FUZZ_CHECK((uintmax_t)(a) == (uintmax_t)(b))
#define assert_in_range(value, least, most) \
	FUZZ_CHECK((uintmax_t)(value) >= (least) && (uintmax_t)(value) <= (most))
