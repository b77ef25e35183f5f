/* SPDX-License-Identifier: MIT */
/* The reply cache of a BOSH session: its limit at n and n+1, acknowledgements, and what is reported
 * missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "gateway/bosh/reply-cache.h"
#include "tests/unit/failmalloc.h"

enum { N_MAX = 3 };

static struct bosh_reply_cache cache;

static int setup(void **state)
{
	(void)state;
	bosh_reply_cache_init(&cache, N_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bosh_reply_cache_deinit(&cache);
	return 0;
}

static int try_put(struct bosh_reply_cache *some, struct bosh_reply reply, size_t n_payloads)
{
	_cleanup_(blob_unrefp) struct blob *blob = NULL;
	int r = blob_new(n_payloads, &blob);

	if (r < 0) {
		return r;
	}
	memset(blob->data, 'x', n_payloads);
	reply.blob = blob;
	reply.payloads = blob_sv(blob);
	return bosh_reply_cache_put(some, &reply);
}

static void put_bytes(uint64_t rid, size_t n_payloads)
{
	assert_int_equal(try_put(&cache, (struct bosh_reply){.rid = rid}, n_payloads), 0);
}

static void put(uint64_t rid)
{
	put_bytes(rid, 0);
}

static void put_extra(uint64_t rid)
{
	assert_int_equal(try_put(&cache, (struct bosh_reply){.rid = rid, .is_extra = true}, 0), 0);
}

/* The cache has the replies from @first to @last, and no others. */
static void check(uint64_t first, uint64_t last)
{
	assert_int_equal(cache.n, last + 1 - first);
	for (uint64_t rid = first; rid <= last; rid++) {
		assert_int_equal(bosh_reply_cache_find(&cache, rid)->rid, rid);
	}
}

static void test_empty(void **state)
{
	(void)state;
	assert_null(bosh_reply_cache_find(&cache, 0));
	bosh_reply_cache_follow(&cache);
	bosh_reply_cache_acknowledge(&cache, 5, (struct mono){9000});
	assert_int_equal(cache.missing, 0);
}

static void test_number(void **state)
{
	(void)state;
	put(1);
	put(2);
	put(3);
	check(1, 3);
	put(4);
	check(2, 4);
}

/* Their sizes make no difference. */
static void test_bytes(void **state)
{
	(void)state;
	put_bytes(1, 60);
	put_bytes(2, 40);
	put_bytes(3, 1000000);
	check(1, 3);
	assert_int_equal(cache.n_bytes, 1000100);
	put(4);
	check(2, 4);
	assert_int_equal(cache.n_bytes, 1000040);
}

/* Extra ones push out none of those that count, nor each other as long as the client may need
 * them. They do not pile up. */
static void test_extra(void **state)
{
	(void)state;
	put(1);
	put(2);
	put(3);
	put_extra(4);
	check(1, 4);
	put_extra(5);
	put_extra(6);
	put_extra(7);
	check(1, 7);
	put_extra(8);
	assert_null(bosh_reply_cache_find(&cache, 4));
	assert_non_null(bosh_reply_cache_find(&cache, 1));
	assert_non_null(bosh_reply_cache_find(&cache, 5));
	assert_int_equal(cache.n, 7);
	put(9);
	assert_null(bosh_reply_cache_find(&cache, 1));
	assert_null(bosh_reply_cache_find(&cache, 5));
	assert_int_equal(cache.n, 6);
	put(10);
	put(11);
	check(8, 11);
	put(12);
	check(10, 12);
}

static void test_acknowledge(void **state)
{
	(void)state;
	put_bytes(1, 10);
	put_bytes(2, 20);
	put_bytes(3, 30);
	bosh_reply_cache_acknowledge(&cache, 0, (struct mono){0});
	check(1, 3);
	bosh_reply_cache_acknowledge(&cache, 2, (struct mono){0});
	check(3, 3);
	assert_int_equal(cache.n_bytes, 30);
	bosh_reply_cache_acknowledge(&cache, 9, (struct mono){0});
	assert_int_equal(cache.n, 0);
}

static void test_missing(void **state)
{
	(void)state;
	put(1);
	put(2);
	bosh_reply_cache_acknowledge(&cache, 1, (struct mono){BOSH_REPORT_MS - 1});
	assert_int_equal(cache.missing, 0);
	bosh_reply_cache_acknowledge(&cache, 1, (struct mono){BOSH_REPORT_MS});
	assert_int_equal(cache.missing, 2);
	assert_int_equal(cache.missing_ms, BOSH_REPORT_MS);
	bosh_reply_cache_set_reported(&cache);
	assert_int_equal(cache.missing, 0);
	/* Once is enough. */
	bosh_reply_cache_acknowledge(&cache, 1, (struct mono){BOSH_REPORT_MS * 5});
	assert_int_equal(cache.missing, 0);
}

/* The time that is reported is bounded. */
static void test_missing_long(void **state)
{
	(void)state;
	put(1);
	bosh_reply_cache_acknowledge(&cache, 0, (struct mono){1000000});
	assert_int_equal(cache.missing_ms, UINT16_MAX);
}

static void test_follow(void **state)
{
	(void)state;
	put(1);
	bosh_reply_cache_follow(&cache);
	put(2);
	assert_true(bosh_reply_cache_find(&cache, 1)->is_followed);
	assert_false(bosh_reply_cache_find(&cache, 2)->is_followed);
}

static void test_forget_stream(void **state)
{
	(void)state;
	assert_int_equal(try_put(&cache, (struct bosh_reply){.rid = 1, .stream = 0}, 10), 0);
	assert_int_equal(try_put(&cache, (struct bosh_reply){.rid = 2, .stream = 1}, 20), 0);
	bosh_reply_cache_forget_stream(&cache, 1);
	check(1, 2);
	assert_int_equal(cache.n_bytes, 10);
	assert_int_equal(bosh_reply_cache_find(&cache, 2)->payloads.n, 0);
	assert_int_equal(bosh_reply_cache_find(&cache, 2)->blob->n, 20);
}

static int scenario(void *userdata)
{
	struct bosh_reply_cache some;
	int r = 0;

	(void)userdata;
	bosh_reply_cache_init(&some, N_MAX);
	for (uint64_t rid = 1; r == 0 && rid <= N_MAX + 1; rid++) {
		r = try_put(&some, (struct bosh_reply){.rid = rid}, 10);
	}
	bosh_reply_cache_deinit(&some);
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),         TEST(test_number),
		TEST(test_bytes),         TEST(test_extra),
		TEST(test_acknowledge),   TEST(test_missing),
		TEST(test_missing_long),  TEST(test_follow),
		TEST(test_forget_stream), cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
