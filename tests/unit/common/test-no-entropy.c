/* SPDX-License-Identifier: MIT */
/* The kernel gives no random bytes, as where a filter of system calls forbids it: what needs a
 * secret is not made, and leaves nothing allocated. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/random.h>

#include "common/xml.h"
#include "gateway/upstream/dns/cache.h"
#include "gateway/upstream/tls/session-cache.h"
#include "policy/bucket.h"
#include "policy/census.h"
#include "policy/known-keys.h"
#include "policy/quota.h"
#include "tests/unit/failmalloc.h"

/* Takes the place of the C library's. */
ssize_t getrandom(void *data, size_t n, unsigned flags)
{
	(void)data;
	(void)n;
	(void)flags;
	errno = ENOSYS;
	return -1;
}

static int make_pool(void)
{
	struct xml_pool *pool;

	return xml_pool_new(NULL, 0, &pool);
}

static int make_dns_cache(void)
{
	struct dns_cache *cache;

	return dns_cache_new(&cache);
}

static int make_session_cache(void)
{
	struct session_cache *cache;

	return session_cache_new(1, &cache);
}

static int make_buckets(void)
{
	struct bucket_table *table;

	return bucket_table_new(&table);
}

static int make_census(void)
{
	struct census *census;

	return census_new(&(struct census_limits){0}, &census);
}

static int make_known_keys(void)
{
	struct known_keys *keys;

	return known_keys_new(&keys);
}

static int make_quota(void)
{
	struct quota *quota;

	return quota_new(&(struct quota_limits){0}, &quota);
}

static void test_nothing_is_made(void **state)
{
	static int (*const make[])(void) = {make_pool,    make_dns_cache, make_session_cache,
					    make_buckets, make_census,    make_known_keys,
					    make_quota};
	size_t n_live = failmalloc_n_live();

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(make); i++) {
		assert_int_equal(make[i](), -ENOSYS);
		assert_int_equal(failmalloc_n_live(), n_live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
