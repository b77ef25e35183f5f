/* SPDX-License-Identifier: MIT */
/*
 * Sessions of a client that follows all rules, over a bad network and with servers that fail, as
 * tests/fuzz/session-model.h describes them. What happens is random, but the same each time;
 * `fuzz-client` searches for more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/fuzz/session-model.h"

/* Sessions @first up to @end, each with so many choices. */
static void run(unsigned first, unsigned end, unsigned n_choices)
{
	char label[40];

	for (unsigned seed = first; seed < end; seed++) {
		const struct choices choices = {
			.random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15),
			.n_left = n_choices,
		};

		snprintf(label, sizeof(label), "session %u of %u choices", seed, n_choices);
		session_model_run(&choices, label);
	}
}

/* About as many as a client has that looks for its messages and goes. */
static void test_short(void **state)
{
	(void)state;
	run(0, 200, 100);
}

static void test_long(void **state)
{
	(void)state;
	run(200, 400, 1000);
}

static void test_very_long(void **state)
{
	(void)state;
	run(400, 420, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_very_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
