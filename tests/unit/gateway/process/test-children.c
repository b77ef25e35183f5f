/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/process/children.h"

enum {
	START_MS = CHILDREN_START_S * 1000,
};

static const struct mono start = {1000};

static void test_start(void **state)
{
	struct child child = {.looked_at = start};

	(void)state;
	for (int ms = CHILDREN_LOOK_MS; ms < START_MS; ms += CHILDREN_LOOK_MS) {
		assert_false(child_count_start(&child, mono_add_ms(start, ms)));
	}
	assert_false(child_count_start(&child, mono_add_ms(start, START_MS - 1)));
	assert_true(child_count_start(&child, mono_add_ms(start, START_MS)));
}

/* However long the two stand still, the server has the rest of its time. */
static void test_standstill(void **state)
{
	struct child child = {.looked_at = start};
	struct mono later = mono_add_ms(start, 10 * START_MS);

	(void)state;
	assert_false(child_count_start(&child, later));
	for (int ms = CHILDREN_LOOK_MS; ms < START_MS - CHILDREN_LOOK_MS; ms += CHILDREN_LOOK_MS) {
		assert_false(child_count_start(&child, mono_add_ms(later, ms)));
	}
	assert_true(child_count_start(&child, mono_add_ms(later, START_MS - CHILDREN_LOOK_MS)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_standstill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
