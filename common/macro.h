/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The few macros that every file may use.
 *
 * _cleanup_(f)    calls f(&local) when the scope of the local ends (GCC and Clang)
 * _must_check_    the result must not be ignored; every function that can fail has it
 * DEFINE_CLEANUP  makes f##p(), for use with _cleanup_, from a function f that frees an object
 */
#include <stddef.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* clang-format off */
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
/* clang-format on */

#define DEFINE_CLEANUP(type, function)                \
	static inline void function##p(type *pointer) \
	{                                             \
		if (*pointer) {                       \
			function(*pointer);           \
		}                                     \
	}                                             \
	struct macro_semicolon_eater
