/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/http/reader-state.h"
#include "tests/unit/common/wiped.h"

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

	http_gather_init(&gather, &exchange, NULL);
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

/* Room is made for what was announced, but for no more than sixteen times what has come. */
static void test_room(void **state)
{
	const struct budget_limits limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	assert_in_range(held(N_BODY_MAX, 8 * KB, KB), 8 * KB, 16 * KB);
	assert_in_range(held(N_BODY_MAX, 16 * KB, 16 * KB), 256 * KB, 512 * KB);
	assert_in_range(held(40 * KB, 32 * KB, 32 * KB), 40 * KB, 64 * KB);
	assert_in_range(held(300 * KB, 300 * KB, 30 * KB), 300 * KB, 512 * KB);
	/* Nothing announced, or less than comes. */
	assert_in_range(held(0, 33 * KB, KB), 33 * KB, 64 * KB);
	assert_in_range(held(20 * KB, 33 * KB, KB), 33 * KB, 64 * KB);
	budget_free(budget);
}

/* A body of which @n bytes have come is charged with no more than four times of that, although
 * there is room for all of it: its pages are not touched yet. */
static size_t charged(size_t n)
{
	const struct http_options options = {
		.limits.n_body_max = N_BODY_MAX, .budget = budget, .client = client};
	struct http_exchange exchange = {.options = &options};
	static const char zeros[N_BODY_MAX];
	struct http_gather gather;

	http_gather_init(&gather, &exchange, NULL);
	gather.n_announced = N_BODY_MAX;
	assert_true(http_gather_add(&gather, zeros, n));
	size_t n_charged = gather.charge.n_bytes;

	http_gather_deinit(&gather);
	assert_int_equal(budget_bytes(budget), 0);
	return n_charged;
}

static void test_charge(void **state)
{
	const struct budget_limits limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	assert_int_equal(charged(16 * KB), 64 * KB);
	assert_int_equal(charged(249 * KB), 996 * KB);
	assert_int_equal(charged(251 * KB), N_BODY_MAX);
	budget_free(budget);
}

/* So is what is kept of a body that is too large, also if it has come in one piece. */
static void test_charge_of_too_large(void **state)
{
	const struct budget_limits limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};
	static const char zeros[10 * KB + 1];

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	const struct http_options options = {
		.limits.n_body_max = 10 * KB, .budget = budget, .client = client};
	struct http_exchange exchange = {.options = &options};
	struct http_gather gather;

	http_gather_init(&gather, &exchange, NULL);
	assert_int_equal(http_gather_begin(&gather, SV("h")), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(http_gather_add(&gather, zeros, sizeof(zeros)));
		assert_true(exchange.is_too_large);
		assert_int_equal(http_gather_body(&gather).n, HTTP_KEEP_LARGE);
		assert_int_equal(gather.charge.n_bytes, 2 * BUDGET_STEP);
	}
	http_gather_deinit(&gather);
	assert_int_equal(budget_bytes(budget), 0);
	budget_free(budget);
}

struct room_case {
	size_t n_announced, n_here, n_max;
	bool is_too_large, is_cut;
	size_t n_room; /* 0: there is none */
};

/* A large body is read into its place, up to its end and no further. */
static void test_room_in_place(void **state)
{
	static const struct room_case cases[] = {
		{40 * KB, 16 * KB - N_HEAD, N_BODY_MAX, false, false, 24 * KB + N_HEAD},
		{40 * KB, 40 * KB - 1, N_BODY_MAX, false, false, 1},
		/* So small that memory must not be held for what was announced. */
		{40 * KB, 16 * KB - N_HEAD - 1, N_BODY_MAX, false, false, 0},
		{40 * KB, 40 * KB, N_BODY_MAX, false, false, 0},
		{0, 40 * KB, N_BODY_MAX, false, false, 0},
		{40 * KB, 20 * KB, 40 * KB, false, false, 20 * KB},
		{40 * KB + 1, 20 * KB, 40 * KB, false, false, 0},
		{40 * KB, 20 * KB, N_BODY_MAX, true, false, 0},
		{40 * KB, 20 * KB, N_BODY_MAX, false, true, 0},
	};
	const struct budget_limits limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};
	static const char zeros[N_BODY_MAX];

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct room_case *one = &cases[i];
		const struct http_options options = {
			.limits.n_body_max = one->n_max, .budget = budget, .client = client};
		struct http_exchange exchange = {.options = &options,
						 .is_too_large = one->is_too_large};
		struct http_gather gather;
		size_t n_room = 0;

		http_gather_init(&gather, &exchange, NULL);
		assert_int_equal(buffer_append(&gather.bytes, zeros, N_HEAD + one->n_here), 0);
		gather.n_head = N_HEAD;
		gather.n_announced = one->n_announced;
		gather.is_cut = one->is_cut;
		char *room = http_gather_room(&gather, &n_room);

		assert_int_equal(room != NULL, one->n_room > 0);
		assert_int_equal(n_room, one->n_room);
		if (room) {
			memset(room, 'x', n_room);
			assert_int_equal(http_gather_filled(&gather, n_room), 0);
			assert_int_equal(http_gather_body(&gather).n, one->n_announced);
			assert_int_equal(http_gather_body(&gather).data[one->n_announced - 1], 'x');
			assert_int_equal(gather.charge.n_bytes,
					 gather.bytes.size > BUDGET_STEP ? gather.bytes.size : 0);
		}
		http_gather_deinit(&gather);
	}
	budget_free(budget);
}

/* The memory of a large body goes to whoever takes it, and the budget with it; the head stays. */
static void test_take(void **state)
{
	const struct budget_limits limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};
	static const char zeros[N_BODY_MAX];

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	for (size_t n = 16 * KB - 1; n <= 16 * KB; n++) {
		const struct http_options options = {
			.limits.n_body_max = N_BODY_MAX, .budget = budget, .client = client};
		struct http_exchange exchange = {.options = &options};
		struct http_gather gather;
		struct buffer body = BUFFER_INIT;

		http_gather_init(&gather, &exchange, NULL);
		gather.n_announced = N_BODY_MAX;
		assert_int_equal(http_gather_begin(&gather, SV("head")), 0);
		assert_true(http_gather_add(&gather, zeros, n));
		const char *at = http_gather_body(&gather).data;
		bool is_taken = http_gather_take(&gather, &body);

		assert_int_equal(is_taken, n == 16 * KB);
		assert_int_equal(body.n, is_taken ? n : 0);
		assert_int_equal(http_gather_body(&gather).n, is_taken ? 0 : n);
		assert_true(sv_eq(sv_first(buffer_sv(&gather.bytes), gather.n_head), SV("head")));
		assert_true(!is_taken || buffer_sv(&body).data == at);
		assert_true(!is_taken || budget_bytes(budget) == 0);
		buffer_deinit(&body);
		http_gather_deinit(&gather);
	}
	budget_free(budget);
}

/* A request that nobody takes is wiped completely. Before the login, any part of it may be a
 * password. */
static void test_wiped(void **state)
{
	const struct budget_limits limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	(void)held(N_BODY_MAX, BUFFER_WIPE_MAX + KB, 16 * KB);
	assert_int_equal(n_wiped, N_HEAD + BUFFER_WIPE_MAX + KB);
	budget_free(budget);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_charge),
		cmocka_unit_test(test_charge_of_too_large),
		cmocka_unit_test(test_room_in_place),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
