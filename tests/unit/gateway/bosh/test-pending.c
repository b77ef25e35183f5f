/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "gateway/bosh/pending.h"
#include "tests/unit/failmalloc.h"

enum {
	WORKER = 0xfffe,
	N = 3 * BOSH_PENDING_CHUNK + 1,
};

static struct http_exchange *exchange_of(uintptr_t i)
{
	return (struct http_exchange *)(i + 1);
}

/* Each is found by its id until it is freed, and then none is, however often its place is used
 * again. */
static void test_found_until_freed(void **state)
{
	struct bosh_pending_table table;
	struct bosh_pending *all[N];
	uint64_t ids[N];

	(void)state;
	bosh_pending_table_init(&table, WORKER);
	for (uintptr_t i = 0; i < N; i++) {
		all[i] = bosh_pending_new(&table, exchange_of(i));
		assert_non_null(all[i]);
		ids[i] = all[i]->id;
		assert_int_not_equal(ids[i], 0);
		assert_int_equal(ids[i] >> 48, WORKER);
		assert_int_equal(all[i]->owner, WORKER);
		assert_string_equal(all[i]->sid, "");
		assert_false(all[i]->is_answered);
	}
	for (uintptr_t i = 0; i < N; i++) {
		assert_ptr_equal(bosh_pending_find(&table, ids[i]), all[i]);
		assert_ptr_equal(all[i]->exchange, exchange_of(i));
	}
	all[5]->is_answered = true;
	all[5]->sid[0] = 'x';
	for (unsigned i = 0; i < N; i += 5) {
		bosh_pending_free(&table, all[i]);
		assert_null(bosh_pending_find(&table, ids[i]));
	}
	for (unsigned i = 0; i < N; i += 5) {
		struct bosh_pending *pending = bosh_pending_new(&table, exchange_of(i));

		assert_string_equal(pending->sid, "");
		assert_false(pending->is_answered);
		assert_null(bosh_pending_find(&table, ids[i]));
	}
	assert_ptr_equal(bosh_pending_find(&table, ids[1]), all[1]);
	bosh_pending_table_deinit(&table);
	bosh_pending_table_deinit(&table);
}

/* Ids that no request of this worker has. */
static void test_unknown(void **state)
{
	struct bosh_pending_table table;

	(void)state;
	bosh_pending_table_init(&table, 0);
	assert_null(bosh_pending_find(&table, 0));
	assert_null(bosh_pending_find(&table, UINT64_MAX));
	struct bosh_pending *pending = bosh_pending_new(&table, exchange_of(0));

	for (unsigned bit = 0; bit < 64; bit++) {
		assert_null(bosh_pending_find(&table, pending->id ^ UINT64_C(1) << bit));
	}
	assert_null(bosh_pending_find(&table, 0));
	assert_null(bosh_pending_find(&table, UINT64_MAX));
	bosh_pending_table_deinit(&table);
}

/* The serial number begins anew, and without 0. */
static void test_serial(void **state)
{
	struct bosh_pending_table table;
	uint64_t first = 0, last = 0;

	(void)state;
	bosh_pending_table_init(&table, 0);
	for (unsigned i = 0; i < 1u << 24; i++) {
		struct bosh_pending *pending = bosh_pending_new(&table, exchange_of(0));

		first = i ? first : pending->id;
		assert_true(pending->id && (i == 0 || pending->id != last));
		last = pending->id;
		bosh_pending_free(&table, pending);
	}
	assert_int_equal(last, first);
	assert_int_equal(table.n_chunks, 1);
	bosh_pending_table_deinit(&table);
}

static int scenario(void *userdata)
{
	struct bosh_pending_table table;
	int r = 0;

	(void)userdata;
	bosh_pending_table_init(&table, 1);
	for (unsigned i = 0; i < N; i++) {
		struct bosh_pending *pending = bosh_pending_new(&table, exchange_of(i));

		if (!pending) {
			r = -ENOMEM;
		} else if (bosh_pending_find(&table, pending->id) != pending) {
			r = -EINVAL;
		}
	}
	bosh_pending_table_deinit(&table);
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_until_freed),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_serial),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
