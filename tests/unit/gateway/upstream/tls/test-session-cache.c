/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "gateway/upstream/tls/session-cache.h"
#include "tests/unit/colliding.h"
#include "tests/unit/failmalloc.h"

enum {
	NOW = 1000000,
	N_MAX = 3,
};

struct key {
	unsigned char bytes[TRUST_KEY_SIZE];
};

static struct key key_of(unsigned char n)
{
	struct key key;

	memset(key.bytes, n, sizeof(key.bytes));
	return key;
}

/* A session that OpenSSL considers resumable. */
static SSL_SESSION *session_new(unsigned char id)
{
	SSL_SESSION *session = SSL_SESSION_new();

	assert_int_equal(SSL_SESSION_set1_id(session, &id, 1), 1);
	assert_int_equal(SSL_SESSION_set_protocol_version(session, TLS1_2_VERSION), 1);
	assert_true(SSL_SESSION_is_resumable(session));
	return session;
}

static void put(struct session_cache *cache, unsigned char n, unsigned char id, int64_t until)
{
	session_cache_put(cache, key_of(n).bytes, session_new(id), until, NOW);
}

/* The id of the session under @n, or -1. */
static int get(struct session_cache *cache, unsigned char n, int64_t now)
{
	int64_t until = -1;
	SSL_SESSION *session = session_cache_get(cache, key_of(n).bytes, now, &until);
	unsigned n_id;

	if (!session) {
		assert_int_equal(until, -1);
		return -1;
	}
	assert_true(until > now);
	return *SSL_SESSION_get_id(session, &n_id);
}

static struct session_cache *cache_new(void)
{
	struct session_cache *cache;

	assert_int_equal(session_cache_new(N_MAX, &cache), 0);
	return cache;
}

static void test_keys(void **state)
{
	struct session_cache *cache = cache_new();

	(void)state;
	assert_int_equal(get(cache, 1, NOW), -1);
	put(cache, 1, 11, NOW + 10);
	put(cache, 2, 12, NOW + 10);
	assert_int_equal(get(cache, 1, NOW), 11);
	assert_int_equal(get(cache, 1, NOW), 11);
	assert_int_equal(get(cache, 2, NOW), 12);
	assert_int_equal(get(cache, 3, NOW), -1);
	/* The latest replaces earlier ones. */
	put(cache, 1, 21, NOW + 10);
	assert_int_equal(get(cache, 1, NOW), 21);
	session_cache_forget(cache, key_of(1).bytes);
	session_cache_forget(cache, key_of(9).bytes);
	assert_int_equal(get(cache, 1, NOW), -1);
	assert_int_equal(get(cache, 2, NOW), 12);
	assert_null(session_cache_free(cache));
	assert_null(session_cache_free(NULL));
}

static void test_end(void **state)
{
	struct session_cache *cache = cache_new();

	(void)state;
	put(cache, 1, 11, NOW + 10);
	assert_int_equal(get(cache, 1, NOW + 9), 11);
	assert_int_equal(get(cache, 1, NOW + 10), -1);
	/* It was removed. */
	assert_int_equal(get(cache, 1, NOW), -1);
	/* An expired session is not stored, and removes the older one. */
	put(cache, 1, 11, NOW + 10);
	put(cache, 1, 12, NOW);
	assert_int_equal(get(cache, 1, NOW), -1);
	put(cache, 1, 11, NOW + 1);
	assert_int_equal(get(cache, 1, NOW), 11);
	session_cache_free(cache);
}

static void test_bound(void **state)
{
	struct session_cache *cache = cache_new();

	(void)state;
	for (unsigned char n = 1; n <= N_MAX; n++) {
		put(cache, n, n, NOW + 10);
	}
	/* Getting and renewing both count as use; the least recently used one is evicted. */
	assert_int_equal(get(cache, 1, NOW), 1);
	put(cache, 2, 22, NOW + 10);
	put(cache, N_MAX + 1, 4, NOW + 10);
	assert_int_equal(get(cache, 3, NOW), -1);
	assert_int_equal(get(cache, 1, NOW), 1);
	assert_int_equal(get(cache, 2, NOW), 22);
	assert_int_equal(get(cache, N_MAX + 1, NOW), 4);
	session_cache_free(cache);
}

static void test_barred(void **state)
{
	struct session_cache *cache = cache_new();

	(void)state;
	put(cache, 1, 11, NOW + 10);
	session_cache_bar(cache, key_of(1).bytes, NOW + 5);
	session_cache_bar(cache, key_of(2).bytes, NOW + 5);
	for (unsigned char n = 1; n <= 2; n++) {
		assert_int_equal(get(cache, n, NOW), -1);
		/* Neither putting nor forgetting changes that. */
		put(cache, n, 12, NOW + 10);
		session_cache_forget(cache, key_of(n).bytes);
		put(cache, n, 12, NOW);
		assert_int_equal(get(cache, n, NOW + 4), -1);
		session_cache_put(cache, key_of(n).bytes, session_new(13), NOW + 10, NOW + 4);
		assert_int_equal(get(cache, n, NOW + 4), -1);
	}
	/* But time does. */
	session_cache_put(cache, key_of(1).bytes, session_new(14), NOW + 10, NOW + 5);
	assert_int_equal(get(cache, 1, NOW + 5), 14);
	assert_int_equal(get(cache, 2, NOW + 5), -1);
	/* A barred key counts like the others: there is no room for the first one any more. */
	for (unsigned char n = 3; n < 3 + N_MAX; n++) {
		session_cache_bar(cache, key_of(n).bytes, NOW + 5);
	}
	assert_int_equal(get(cache, 1, NOW + 5), -1);
	session_cache_free(cache);
}

static size_t make_key(unsigned n, char key[COLLIDING_KEY_SIZE])
{
	memset(key, 0, TRUST_KEY_SIZE);
	memcpy(key, &n, sizeof(n));
	return TRUST_KEY_SIZE;
}

static void put_key(void *userdata, const char *key)
{
	session_cache_put(userdata, (const unsigned char *)key, session_new(1), NOW + 5, NOW);
}

static void get_key(void *userdata, const char *key)
{
	int64_t until;

	assert_non_null(session_cache_get(userdata, (const unsigned char *)key, NOW, &until));
}

/* Clients choose the domains, and anybody can compute the keys of these. */
static void test_keys_that_collide(void **state)
{
	struct session_cache *cache;

	(void)state;
	assert_int_equal(session_cache_new(COLLIDING_OTHERS + COLLIDING_KEYS, &cache), 0);
	failmalloc_take_largest();
	colliding_each(make_key, put_key, cache);
	assert_in_range(failmalloc_take_largest(), 1, COLLIDING_BLOCK_MAX);
	colliding_each(make_key, get_key, cache);
	session_cache_free(cache);
}

/* OpenSSL marks a session as not resumable when its connection failed. */
static void test_session_gone_bad(void **state)
{
	struct session_cache *cache = cache_new();
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *session = session_new(11);

	(void)state;
	assert_int_equal(SSL_SESSION_up_ref(session), 1);
	session_cache_put(cache, key_of(1).bytes, session, NOW + 10, NOW);
	assert_int_equal(get(cache, 1, NOW), 11);
	SSL_CTX_remove_session(ctx, session);
	assert_false(SSL_SESSION_is_resumable(session));
	assert_int_equal(get(cache, 1, NOW), -1);
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
	session_cache_free(cache);
}

/* When out of memory, a session is not stored, and all else continues. */
static int scenario(void *userdata)
{
	struct session_cache *cache;

	(void)userdata;
	if (session_cache_new(N_MAX, &cache) < 0) {
		return -ENOMEM;
	}
	for (unsigned char n = 1; n <= N_MAX + 2; n++) {
		put(cache, n, n, NOW + 10);
		int id = get(cache, n, NOW);

		session_cache_bar(cache, key_of((unsigned char)(n + 100)).bytes, NOW + 10);

		if (id != n && id != -1) {
			session_cache_free(cache);
			return -EINVAL;
		}
	}
	session_cache_free(cache);
	return 0;
}

static void test_without_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, N_MAX + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_barred),
		cmocka_unit_test(test_keys_that_collide),
		cmocka_unit_test(test_session_gone_bad),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
