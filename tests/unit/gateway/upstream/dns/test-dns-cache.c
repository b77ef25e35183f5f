/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/upstream/dns/cache.h"
#include "gateway/upstream/dns/srv.h"
#include "tests/unit/colliding.h"
#include "tests/unit/failmalloc.h"

static const struct mono start = {1000000};

static int setup(void **state)
{
	return dns_cache_new((struct dns_cache **)state);
}

static int teardown(void **state)
{
	return dns_cache_free(*state) ? -1 : 0;
}

static struct dns_reply *made(enum resolver_result result, uint32_t ttl_s, size_t n_targets)
{
	static const struct srv_target targets[SRV_TARGETS_MAX];
	struct dns_reply *reply = NULL;

	assert_int_equal(dns_reply_new(DNS_KIND_SRV, result, ttl_s, targets, n_targets, &reply), 0);
	return reply;
}

static void put(struct dns_cache *cache, const char *name, enum resolver_result result,
		uint32_t ttl_s)
{
	struct dns_reply *reply = made(result, ttl_s, 0);

	dns_cache_put(cache, DNS_KIND_SRV, name, reply, start);
	dns_reply_unref(reply);
}

/* The TTL of the reply found, or -1. */
static long find(struct dns_cache *cache, const char *name, struct mono now)
{
	struct dns_reply *reply = dns_cache_find(cache, DNS_KIND_SRV, name, now);
	long ttl_s = reply ? (long)reply->ttl_s : -1;

	dns_reply_unref(reply);
	return ttl_s;
}

static void assert_holds_s(struct dns_cache *cache, enum resolver_result result, uint32_t ttl_s,
			   int64_t expected_s)
{
	put(cache, "a", result, ttl_s);
	assert_int_equal(find(cache, "a", start), ttl_s);
	assert_int_equal(find(cache, "a", mono_add_ms(start, expected_s * 1000 - 1)), ttl_s);
	assert_int_equal(find(cache, "a", mono_add_ms(start, expected_s * 1000)), -1);
}

static void test_expiry(void **state)
{
	static const struct {
		enum resolver_result result;
		uint32_t ttl_s;
		int64_t expected_s;
	} rows[] = {
		{RESOLVER_OK, 0, DNS_CACHE_TTL_MIN_S},
		{RESOLVER_OK, DNS_CACHE_TTL_MIN_S - 1, DNS_CACHE_TTL_MIN_S},
		{RESOLVER_OK, DNS_CACHE_TTL_MIN_S + 1, DNS_CACHE_TTL_MIN_S + 1},
		{RESOLVER_OK, DNS_CACHE_TTL_MAX_S - 1, DNS_CACHE_TTL_MAX_S - 1},
		{RESOLVER_OK, DNS_CACHE_TTL_MAX_S, DNS_CACHE_TTL_MAX_S},
		{RESOLVER_OK, DNS_CACHE_TTL_MAX_S + 1, DNS_CACHE_TTL_MAX_S},
		{RESOLVER_OK, UINT32_MAX, DNS_CACHE_TTL_MAX_S},
		{RESOLVER_NO_NAME, 0, DNS_CACHE_TTL_MIN_S},
		{RESOLVER_NO_NAME, 60, 60},
		{RESOLVER_NO_NAME, DNS_CACHE_NEGATIVE_TTL_MAX_S, DNS_CACHE_NEGATIVE_TTL_MAX_S},
		{RESOLVER_NO_NAME, DNS_CACHE_NEGATIVE_TTL_MAX_S + 1, DNS_CACHE_NEGATIVE_TTL_MAX_S},
		{RESOLVER_FAILED, 0, DNS_CACHE_FAILURE_TTL_S},
		{RESOLVER_FAILED, 3600, DNS_CACHE_FAILURE_TTL_S},
		{RESOLVER_TIMEOUT, 60, DNS_CACHE_FAILURE_TTL_S},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_holds_s(*state, rows[i].result, rows[i].ttl_s, rows[i].expected_s);
	}
}

static void test_names_and_kinds_are_apart(void **state)
{
	struct dns_cache *cache = *state;
	struct dns_reply *addresses;

	put(cache, "a.example", RESOLVER_OK, 10);
	put(cache, "b.example", RESOLVER_OK, 20);
	assert_null(dns_cache_find(cache, DNS_KIND_ADDRESSES, "a.example", start));
	assert_int_equal(
		dns_reply_new(DNS_KIND_ADDRESSES, RESOLVER_NO_NAME, 30, NULL, 0, &addresses), 0);
	dns_cache_put(cache, DNS_KIND_ADDRESSES, "a.example", addresses, start);
	assert_ptr_equal(dns_cache_find(cache, DNS_KIND_ADDRESSES, "a.example", start), addresses);
	dns_reply_unref(addresses);
	dns_reply_unref(addresses);
	assert_int_equal(find(cache, "a.example", start), 10);
	assert_int_equal(find(cache, "b.example", start), 20);
	assert_int_equal(find(cache, "a.exampl", start), -1);
	assert_int_equal(find(cache, "", start), -1);
	assert_null(dns_cache_find(cache, DNS_KIND_TLSA, "a.example", start));
}

static void test_newer_replaces_older(void **state)
{
	struct dns_cache *cache = *state;

	put(cache, "a", RESOLVER_OK, 10);
	size_t n_live = failmalloc_n_live();

	put(cache, "a", RESOLVER_NO_NAME, 20);
	assert_int_equal(failmalloc_n_live(), n_live);
	assert_int_equal(find(cache, "a", mono_add_s(start, 15)), 20);
}

/* A reply stays valid while somebody holds it, even when it has left the cache. */
static void test_found_outlives_kept(void **state)
{
	struct dns_cache *cache = *state;

	put(cache, "a", RESOLVER_OK, 10);
	struct dns_reply *reply = dns_cache_find(cache, DNS_KIND_SRV, "a", start);

	put(cache, "a", RESOLVER_OK, 20);
	assert_int_equal(find(cache, "a", mono_add_s(start, 20)), -1);
	assert_int_equal(reply->ttl_s, 10);
	assert_int_equal(reply->n_refs, 1);
	dns_reply_unref(reply);
}

static const char *numbered(unsigned i)
{
	static char name[32];

	snprintf(name, sizeof(name), "n%u.example", i);
	return name;
}

static void test_bound(void **state)
{
	struct dns_cache *cache = *state;

	for (unsigned i = 0; i < DNS_CACHE_MAX; i++) {
		put(cache, numbered(i), RESOLVER_OK, i);
	}
	for (unsigned i = 0; i < DNS_CACHE_MAX; i++) {
		assert_int_equal(find(cache, numbered(i), start), i);
	}
	/* All were used in order, now the first again: the second is the least recently used. */
	assert_int_equal(find(cache, numbered(0), start), 0);
	put(cache, "one more", RESOLVER_OK, 7);
	assert_int_equal(find(cache, numbered(1), start), -1);
	assert_int_equal(find(cache, numbered(0), start), 0);
	assert_int_equal(find(cache, numbered(2), start), 2);
	assert_int_equal(find(cache, "one more", start), 7);
	/* A new reply to a cached question evicts no other. */
	put(cache, numbered(3), RESOLVER_OK, 8);
	assert_int_equal(find(cache, numbered(4), start), 4);
}

static unsigned n_put(const struct dns_reply *large)
{
	return 2 * (unsigned)(DNS_CACHE_BYTES_MAX / large->n_bytes);
}

/* Fills the cache with large replies. Returns how many of them are found, the latest ones. */
static unsigned fill_with(struct dns_cache *cache, struct dns_reply *large)
{
	unsigned n = n_put(large);
	unsigned n_found = 0;

	for (unsigned i = 0; i < n; i++) {
		dns_cache_put(cache, DNS_KIND_SRV, numbered(1000 + i), large, start);
	}
	while (n_found < n && find(cache, numbered(1000 + n - 1 - n_found), start) == 9) {
		n_found++;
	}
	for (unsigned i = n_found; i < n; i++) {
		assert_int_equal(find(cache, numbered(1000 + n - 1 - i), start), -1);
	}
	return n_found;
}

static void test_bound_of_bytes(void **state)
{
	enum {
		/* What an entry takes beside its reply. */
		ENTRY_MAX = 256,
	};
	struct dns_cache *cache = *state;
	struct dns_reply *large = made(RESOLVER_OK, 9, SRV_TARGETS_MAX);
	unsigned n_found = fill_with(cache, large);

	assert_true(n_found < DNS_CACHE_MAX);
	assert_true(n_found * large->n_bytes <= DNS_CACHE_BYTES_MAX);
	assert_true((n_found + 1) * (large->n_bytes + ENTRY_MAX) > DNS_CACHE_BYTES_MAX);
	/* Replies that are replaced do not count any more: one large reply makes room, at most. The
	 * latest was found first, so it is the least recently used one. */
	for (unsigned i = 0; i < DNS_CACHE_MAX; i++) {
		put(cache, "small", RESOLVER_OK, 7);
	}
	assert_int_equal(find(cache, "small", start), 7);
	assert_int_equal(find(cache, numbered(1000 + n_put(large) - 2), start), 9);
	dns_reply_unref(large);
}

static size_t make_name(unsigned n, char key[COLLIDING_KEY_SIZE])
{
	return colliding_name("_xmpp-client._tcp.", n, key);
}

static void add_name(void *userdata, const char *name)
{
	put(userdata, name, RESOLVER_NO_NAME, 60);
}

static void find_name(void *userdata, const char *name)
{
	assert_int_equal(find(userdata, name, start), 60);
}

/* Clients choose the names that are asked for. */
static void test_names_that_collide(void **state)
{
	struct dns_cache *cache = *state;

	failmalloc_take_largest();
	colliding_each(make_name, add_name, cache);
	assert_in_range(failmalloc_take_largest(), 1, COLLIDING_BLOCK_MAX);
	colliding_each(make_name, find_name, cache);
}

static void test_free_nothing(void **state)
{
	(void)state;
	assert_null(dns_cache_free(NULL));
}

/* Stores enough to make the table grow. When out of memory it stores less, and frees all. */
static int scenario(void *userdata)
{
	struct dns_cache *cache;
	struct dns_reply *reply;
	int r = dns_cache_new(&cache);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	r = dns_reply_new(DNS_KIND_SRV, RESOLVER_OK, 60, NULL, 0, &reply);
	for (unsigned i = 0; r == 0 && i < 400; i++) {
		dns_cache_put(cache, DNS_KIND_SRV, numbered(i), reply, start);
	}
	if (r == 0) {
		dns_cache_free(cache);
		r = reply->n_refs == 1 ? 0 : -EINVAL;
		dns_reply_unref(reply);
		return r;
	}
	dns_cache_free(cache);
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_and_kinds_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer_replaces_older, setup, teardown),
		cmocka_unit_test_setup_teardown(test_found_outlives_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound_of_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_that_collide, setup, teardown),
		cmocka_unit_test(test_free_nothing),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
