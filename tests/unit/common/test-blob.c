/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "common/blob.h"
#include "tests/unit/common/wiped.h"
#include "tests/unit/failmalloc.h"

enum {
	N_WIPED_MAX = 64 * 1024,
};

/* The last owner frees it. Responses have passwords in them: nothing of it stays in memory. */
static void test_last_owner(void **state)
{
	size_t n_live = failmalloc_n_live();
	struct blob *blob;

	(void)state;
	assert_int_equal(blob_new(6, &blob), 0);
	const void *before = blob->data;

	memcpy(blob->data, "secret", 6);
	assert_ptr_equal(blob_ref(blob), blob);
	assert_null(blob_unref(blob));
	assert_null(wiped);
	assert_true(sv_eq(blob_sv(blob), SV("secret")));
	assert_null(blob_unref(blob));
	assert_ptr_equal(wiped, before);
	assert_int_equal(n_wiped, 6);
	assert_int_equal(failmalloc_n_live(), n_live);
}

static size_t wiped_of(size_t n)
{
	struct blob *blob;

	assert_int_equal(blob_new(n, &blob), 0);
	memset(blob->data, 'x', n);
	n_wiped = 0;
	blob_unref(blob);
	return n_wiped;
}

/* Of a long one the beginning only. */
static void test_wiped_at_most(void **state)
{
	(void)state;
	assert_int_equal(wiped_of(N_WIPED_MAX), N_WIPED_MAX);
	assert_int_equal(wiped_of(N_WIPED_MAX + 1), N_WIPED_MAX);
}

/* It may be the memory of a buffer, and then that is wiped from its beginning on. */
static void test_take(void **state)
{
	size_t n_live = failmalloc_n_live();
	struct buffer buffer = BUFFER_INIT;
	struct blob *blob;

	(void)state;
	assert_int_equal(buffer_append_sv(&buffer, SV("a secret")), 0);
	buffer_consume(&buffer, 2);
	failmalloc_arm(1, false);
	assert_int_equal(blob_take(&buffer, &blob), -ENOMEM);
	failmalloc_disarm();
	assert_true(sv_eq(buffer_sv(&buffer), SV("secret")));
	/* Without memory it is not made smaller. */
	failmalloc_arm(2, false);
	assert_int_equal(blob_take(&buffer, &blob), 0);
	failmalloc_disarm();
	assert_null(buffer.data);
	assert_true(sv_eq(blob_sv(blob), SV("secret")));
	const void *before = blob->data - 2;

	blob_unref(blob);
	assert_ptr_equal(wiped, before);
	assert_int_equal(n_wiped, 8);
	assert_int_equal(failmalloc_n_live(), n_live);
}

static void test_nothing(void **state)
{
	(void)state;
	assert_null(blob_unref(NULL));
}

static void test_no_memory(void **state)
{
	struct blob *blob;

	(void)state;
	failmalloc_arm(1, false);
	int r = blob_new(6, &blob);

	failmalloc_disarm();
	assert_int_equal(r, -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_owner), cmocka_unit_test(test_wiped_at_most),
		cmocka_unit_test(test_take),       cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
