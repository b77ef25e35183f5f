/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/http/gather.h"

enum {
	KB = 1024,
	N_HEAD = 100,
	N_BODY_MAX = 1000 * KB,
};

static struct budget *budget;

static struct address client(void *userdata, const struct http_exchange *exchange)
{
	(void)userdata;
	(void)exchange;
	return (struct address){0};
}

/* The memory that is held for a body of which @n_announced bytes were announced and the first @n
 * have come, in pieces of @n_piece. */
static size_t held(size_t n_announced, size_t n, size_t n_piece)
{
	const struct http_options options = {
		.limits.n_body_max = N_BODY_MAX, .budget = budget, .client = client};
	struct http_exchange exchange = {.options = &options};
	static const char zeros[N_BODY_MAX];
	struct http_gather gather;
	size_t size;

	http_gather_init(&gather, &exchange);
	assert_int_equal(buffer_append(&gather.bytes, zeros, N_HEAD), 0);
	gather.n_head = N_HEAD;
	gather.n_announced = n_announced;
	for (size_t at = 0; at < n; at += n_piece) {
		assert_true(http_gather_add(&gather, zeros, n - at < n_piece ? n - at : n_piece));
	}
	assert_int_equal(http_gather_body(&gather).n, n);
	size = gather.bytes.size;
	http_gather_deinit(&gather);
	return size;
}

/* Room is made for what was announced, but for no more than four times what has come. */
static void test_room(void **state)
{
	const struct budget_limits limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	assert_in_range(held(N_BODY_MAX, 8 * KB, KB), 8 * KB, 16 * KB);
	assert_in_range(held(N_BODY_MAX, 32 * KB, 32 * KB), 128 * KB, 256 * KB);
	assert_in_range(held(40 * KB, 32 * KB, 32 * KB), 40 * KB, 64 * KB);
	assert_in_range(held(300 * KB, 300 * KB, 30 * KB), 300 * KB, 512 * KB);
	/* Nothing announced, or less than comes. */
	assert_in_range(held(0, 33 * KB, KB), 33 * KB, 64 * KB);
	assert_in_range(held(20 * KB, 33 * KB, KB), 33 * KB, 64 * KB);
	budget_free(budget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
