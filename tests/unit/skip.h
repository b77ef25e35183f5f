/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Skipping a unit test for a reason. tests/run.sh lists what was skipped, and why, at its end.
 *
 * Include it behind cmocka.h.
 */

/* Skips the test under way: for what this machine or this user cannot do, never for what fails. Does not return. */
#define SKIP_BECAUSE(...)                    \
	do {                                 \
		print_message("# skipped: "); \
		print_message(__VA_ARGS__);  \
		print_message("\n");         \
		skip();                      \
	} while (0)
