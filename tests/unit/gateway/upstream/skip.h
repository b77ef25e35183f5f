/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Skips a unit test with a reason. At its end, tests/run.sh lists the skipped tests with their
 * reasons.
 *
 * Include it after cmocka.h.
 */

/* Skips the current test because this machine or this user cannot run it, never because it fails.
 * Does not return. */
#define SKIP_BECAUSE(...)                     \
	do {                                  \
		print_message("# skipped: "); \
		print_message(__VA_ARGS__);   \
		print_message("\n");          \
		skip();                       \
	} while (0)
