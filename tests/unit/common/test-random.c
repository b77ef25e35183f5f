/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "common/random.h"

enum {
	N_NAMES = 200,
	NAME_LENGTH = 23, /* odd, so that a place has each of the numbers below */
};

/* What the kernel does next. Then it counts. */
static int interruptions, failure, n_at_once;

ssize_t getrandom(void *data, size_t n, unsigned flags)
{
	(void)flags;
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	if (failure) {
		errno = failure;
		return -1;
	}
	if (n_at_once && n > (size_t)n_at_once) {
		n = (size_t)n_at_once;
	}
	for (size_t i = 0; i < n; i++) {
		static size_t next;

		((unsigned char *)data)[i] = (unsigned char)next++;
	}
	return (ssize_t)n;
}

/* Each place of a name has each of the 64 characters. */
static void test_names(void **state)
{
	bool seen[NAME_LENGTH][256] = {0};

	(void)state;
	for (int i = 0; i < N_NAMES; i++) {
		char name[NAME_LENGTH + 2] = "";

		name[NAME_LENGTH + 1] = '!';
		assert_int_equal(random_name(name, NAME_LENGTH), 0);
		assert_int_equal(strlen(name), NAME_LENGTH);
		assert_int_equal(name[NAME_LENGTH + 1], '!');
		for (size_t k = 0; k < NAME_LENGTH; k++) {
			unsigned char c = (unsigned char)name[k];

			assert_true(isalnum(c) || c == '-' || c == '_');
			seen[k][c] = true;
		}
	}
	for (size_t k = 0; k < NAME_LENGTH; k++) {
		int n = 0;

		for (size_t c = 0; c < 256; c++) {
			n += seen[k][c];
		}
		assert_int_equal(n, 64);
	}
}

static void test_pieces(void **state)
{
	unsigned char whole[NAME_LENGTH + 1] = {0};

	(void)state;
	n_at_once = 5;
	interruptions = 3;
	whole[NAME_LENGTH] = 200;
	assert_int_equal(random_bytes(whole, NAME_LENGTH), 0);
	assert_int_equal(interruptions, 0);
	for (size_t i = 1; i < NAME_LENGTH; i++) {
		assert_int_equal((unsigned char)(whole[i] - whole[i - 1]), 1);
	}
	assert_int_equal(whole[NAME_LENGTH], 200);
	n_at_once = 0;
}

static void test_failure(void **state)
{
	char name[NAME_LENGTH + 1];

	(void)state;
	failure = ENOSYS;
	assert_int_equal(random_bytes(name, 1), -ENOSYS);
	assert_int_equal(random_name(name, NAME_LENGTH), -ENOSYS);
	failure = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
