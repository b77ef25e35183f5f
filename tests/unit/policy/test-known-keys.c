/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "common/hash.h"
#include "tests/unit/failmalloc.h"
#include "policy/known-keys.h"

static struct known_keys *keys;
static struct pin last;

static int n_locked;    /* mutexes, now */
static bool was_locked; /* when the table was used last */

/* These take the place of the C library's. */
int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	(void)mutex;
	n_locked++;
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	(void)mutex;
	n_locked--;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return known_keys_new(&keys);
}

static int tear_down(void **state)
{
	(void)state;
	keys = known_keys_free(keys);
	return 0;
}

static bool note_at(const char *domain, unsigned char key, int64_t ms)
{
	const struct pin pin = {{key}};

	return known_keys_note(keys, domain, &pin, (struct mono){ms}, &last);
}

static bool note(const char *domain, unsigned char key)
{
	return note_at(domain, key, 1);
}

static void test_change(void **state)
{
	(void)state;
	assert_false(note("one.test", 1));
	assert_false(note("one.test", 1));
	assert_true(note("one.test", 2));
	assert_int_equal(last.sha256[0], 1);
	assert_false(note("one.test", 2));
	assert_false(note("one.test", 1));
	assert_false(note("two.test", 3));
	/* The one that was shown last is the one before, not the first of all. */
	assert_true(note("two.test", 4));
	assert_true(note("two.test", 5));
	assert_int_equal(last.sha256[0], 4);
}

/* Takes the place of the program's: called in the middle of known_keys_note(). */
uint64_t hash_bytes(const struct hash_secret *secret, const void *data, size_t n)
{
	(void)secret;
	(void)data;
	was_locked = n_locked == 1;
	return n;
}

/* All threads share them. */
static void test_locked(void **state)
{
	(void)state;
	assert_false(note("one.test", 1));
	assert_true(was_locked);
	assert_int_equal(n_locked, 0);
}

/* The last byte of a key counts, too. */
static void test_whole_key(void **state)
{
	struct pin key = {{0}};

	(void)state;
	assert_false(known_keys_note(keys, "one.test", &key, (struct mono){1}, &last));
	key.sha256[PIN_SIZE - 1] = 1;
	assert_true(known_keys_note(keys, "one.test", &key, (struct mono){1}, &last));
}

static void test_number_of_keys(void **state)
{
	(void)state;
	for (unsigned char i = 0; i < KNOWN_KEYS_MAX; i++) {
		assert_int_equal(note("one.test", i), i > 0);
	}
	/* The first is the one that was shown least recently, unless it is shown now. */
	assert_false(note("one.test", 0));
	assert_true(note("one.test", KNOWN_KEYS_MAX));
	assert_int_equal(last.sha256[0], 0);
	assert_false(note("one.test", 0));
	assert_true(note("one.test", 1));
}

static void fill(unsigned n)
{
	char domain[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(domain, sizeof(domain), "%u.test", i);
		assert_false(note(domain, 1));
	}
}

static void test_number_of_domains(void **state)
{
	(void)state;
	fill(KNOWN_KEYS_DOMAINS_MAX);
	/* The second is the one that was visited least recently now. */
	assert_true(note("0.test", 2));
	assert_false(note("new.test", 1));
	assert_true(note("0.test", 3));
	assert_false(note("1.test", 2));
	assert_true(note("1.test", 3));
}

static void test_rate(void **state)
{
	char domain[32];

	(void)state;
	fill(KNOWN_KEYS_REPORTS.n_tokens + 1);
	for (unsigned i = 0; i < KNOWN_KEYS_REPORTS.n_tokens; i++) {
		snprintf(domain, sizeof(domain), "%u.test", i);
		assert_true(note(domain, 2));
	}
	snprintf(domain, sizeof(domain), "%u.test", KNOWN_KEYS_REPORTS.n_tokens);
	assert_false(note(domain, 2));
	/* It is reported later. */
	assert_true(note_at(domain, 2, 1 + KNOWN_KEYS_REPORTS.seconds * 1000));
	assert_int_equal(last.sha256[0], 1);
}

/* A key of zeros is a key like others. */
static void test_zeros(void **state)
{
	(void)state;
	assert_false(note("one.test", 1));
	assert_true(note("one.test", 0));
	assert_true(note("one.test", 2));
	assert_false(note("one.test", 0));
}

static int use(void *userdata)
{
	struct known_keys *own;
	int r = known_keys_new(&own);

	(void)userdata;
	if (r == 0) {
		const struct pin pins[] = {{{1}}, {{2}}};

		(void)known_keys_note(own, "one.test", &pins[0], (struct mono){1}, &last);
		(void)known_keys_note(own, "one.test", &pins[1], (struct mono){1}, &last);
		known_keys_free(own);
	}
	return r;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	failmalloc_each(use, NULL, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_locked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_number_of_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_number_of_domains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_zeros, set_up, tear_down),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
