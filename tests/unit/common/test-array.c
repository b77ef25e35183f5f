/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/array.h"
#include "tests/unit/failmalloc.h"

enum {
	ITEMS = 70,
};

/* AddressSanitizer sees an item that has no room. */
static void test_room(void **state)
{
	size_t *list = NULL;

	(void)state;
	for (size_t n = 0; n < ITEMS; n++) {
		size_t *grown = array_grow(list, n, sizeof(*list));

		assert_non_null(grown);
		list = grown;
		list[n] = n;
	}
	for (size_t n = 0; n < ITEMS; n++) {
		assert_int_equal(list[n], n);
	}
	free(list);
}

/* It asks for memory where the number is a power of two, and then for twice as many items. */
static void test_steps(void **state)
{
	size_t *list = NULL, room = 0;

	(void)state;
	for (size_t n = 0; n < ITEMS; n++) {
		(void)failmalloc_take_largest();

		size_t *grown = array_grow(list, n, sizeof(*list));
		size_t n_asked = failmalloc_take_largest();

		assert_non_null(grown);
		list = grown;
		if (n == room) {
			room = room ? 2 * room : 1;
			assert_int_equal(n_asked, room * sizeof(*list));
		} else {
			assert_int_equal(n_asked, 0);
		}
	}
	free(list);
}

static void test_no_memory(void **state)
{
	size_t *list = array_grow(NULL, 0, sizeof(*list));

	(void)state;
	assert_non_null(list);
	list[0] = 7;
	failmalloc_arm(1, true);

	void *grown = array_grow(list, 1, sizeof(*list));

	assert_int_equal(failmalloc_disarm(), 1);
	assert_null(grown);
	assert_int_equal(list[0], 7);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
