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
	assert_true(note_at("one.test", 1, 1 + KNOWN_KEYS_DOMAIN_REPORTS.seconds * 1000));
}

/* @n domains whose first is number @first show the key 1. */
static void fill_at(unsigned first, unsigned n, int64_t ms)
{
	char domain[32];

	for (unsigned i = first; i < first + n; i++) {
		snprintf(domain, sizeof(domain), "%u.test", i);
		assert_false(note_at(domain, 1, ms));
	}
}

/* They become settled, in the time from @ms to the returned one. */
static int64_t settle_at(unsigned first, unsigned n, int64_t ms)
{
	fill_at(first, n, ms);
	fill_at(first, n, ms + KNOWN_KEYS_SETTLE_MS);
	return ms + KNOWN_KEYS_SETTLE_MS;
}

static void test_number_of_newcomers(void **state)
{
	(void)state;
	fill_at(0, KNOWN_KEYS_NEWCOMERS_MAX, 1);
	/* The second is the one that was visited least recently now. */
	assert_true(note("0.test", 2));
	assert_false(note("new.test", 1));
	assert_true(note("0.test", 3));
	assert_false(note("1.test", 2));
	assert_true(note("1.test", 3));
}

/* All places of settled domains are taken. Returns when they were visited last. */
static int64_t settle_all(void)
{
	int64_t ms = 1;

	for (unsigned n = 0; n < KNOWN_KEYS_SETTLED_MAX; n += KNOWN_KEYS_NEWCOMERS_MAX) {
		ms = settle_at(n, KNOWN_KEYS_NEWCOMERS_MAX, ms);
	}
	fill_at(0, KNOWN_KEYS_SETTLED_MAX, ms);
	return ms;
}

/* A newcomer is forgotten when so many others come. */
static void flush_newcomers(int64_t ms)
{
	fill_at(5000, KNOWN_KEYS_NEWCOMERS_MAX, ms);
}

static void test_number_of_settled(void **state)
{
	(void)state;
	int64_t ms = settle_all();

	ms = settle_at(9999, 1, ms);
	flush_newcomers(ms);
	assert_false(note_at("9999.test", 2, ms));
	assert_true(note_at("0.test", 2, ms));
	assert_true(note_at("1023.test", 2, ms));
}

/* A domain that was not visited for long makes room, and no other. */
static void test_kept(void **state)
{
	(void)state;
	int64_t late = settle_all() + KNOWN_KEYS_KEPT_MS;

	assert_true(note_at("0.test", 2, late - 1));
	settle_at(9998, 1, late - 1 - KNOWN_KEYS_SETTLE_MS);
	settle_at(9999, 1, late - KNOWN_KEYS_SETTLE_MS);
	flush_newcomers(late);
	assert_false(note_at("9998.test", 2, late));
	assert_true(note_at("9999.test", 2, late));
	assert_true(note_at("0.test", 3, late));
	assert_false(note_at("1.test", 3, late));
	assert_true(note_at("2.test", 3, late));
}

/* A domain settles by a known key that it shows late enough. */
static void test_settle(void **state)
{
	const int64_t late = 1 + KNOWN_KEYS_SETTLE_MS;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fill_at(i, 1, 1);
	}
	assert_false(note_at("0.test", 1, late));
	assert_false(note_at("1.test", 1, late - 1));
	assert_true(note_at("2.test", 2, late));
	fill_at(100, KNOWN_KEYS_NEWCOMERS_MAX, late);
	assert_true(note_at("0.test", 3, late));
	assert_false(note_at("1.test", 3, late));
	assert_false(note_at("2.test", 3, late));
	assert_false(note_at("3.test", 3, late));
}

static void use_up_newcomers(int64_t ms)
{
	char domain[32];

	fill_at(0, KNOWN_KEYS_REPORTS.n_tokens + 1, ms);
	for (unsigned i = 0; i < KNOWN_KEYS_REPORTS.n_tokens; i++) {
		snprintf(domain, sizeof(domain), "%u.test", i);
		assert_true(note_at(domain, 2, ms));
	}
}

static void test_rate_of_newcomers(void **state)
{
	char domain[32];

	(void)state;
	use_up_newcomers(1);
	snprintf(domain, sizeof(domain), "%u.test", KNOWN_KEYS_REPORTS.n_tokens);
	for (unsigned i = 0; i < KNOWN_KEYS_DOMAIN_REPORTS.n_tokens; i++) {
		assert_false(note(domain, 2));
	}
	/* It is reported later, and was not charged meanwhile. */
	assert_true(note_at(domain, 2, 1 + KNOWN_KEYS_REPORTS.seconds * 1000));
	assert_int_equal(last.sha256[0], 1);
}

/* One domain does not use up what the others share. */
static void test_rate_of_domain(void **state)
{
	const unsigned char n = (unsigned char)KNOWN_KEYS_DOMAIN_REPORTS.n_tokens;

	(void)state;
	assert_false(note("one.test", 0));
	assert_false(note("two.test", 0));
	for (unsigned char i = 1; i <= n; i++) {
		assert_true(note("one.test", i));
	}
	for (unsigned char i = n + 1; i < 200; i++) {
		assert_false(note("one.test", i));
	}
	assert_true(note("two.test", 1));
	assert_true(note_at("one.test", 200, 1 + KNOWN_KEYS_DOMAIN_REPORTS.seconds * 1000 / n));
	assert_int_equal(last.sha256[0], n);
}

/* What newcomers share is none of a settled domain's business. */
static void test_rate_of_settled(void **state)
{
	(void)state;
	int64_t ms = settle_at(5000, 1, 1);

	use_up_newcomers(ms);
	for (unsigned i = 0; i < KNOWN_KEYS_DOMAIN_REPORTS.n_tokens; i++) {
		assert_true(note_at("5000.test", (unsigned char)(i + 2), ms));
	}
	assert_false(note_at("5000.test", 99, ms));
}

static void test_missed(void **state)
{
	const int64_t later = 1 + KNOWN_KEYS_COUNTS.seconds * 1000;

	(void)state;
	assert_false(note("one.test", 0));
	for (unsigned i = 0; i < KNOWN_KEYS_DOMAIN_REPORTS.n_tokens; i++) {
		assert_true(note("one.test", (unsigned char)(i + 1)));
	}
	assert_int_equal(known_keys_missed(keys, (struct mono){1}), 0);
	assert_false(note("one.test", 98));
	assert_false(note("one.test", 99));
	assert_int_equal(known_keys_missed(keys, (struct mono){1}), 2);
	assert_false(note("one.test", 98));
	assert_int_equal(known_keys_missed(keys, (struct mono){later - 1}), 0);
	assert_int_equal(known_keys_missed(keys, (struct mono){later}), 1);
	assert_int_equal(known_keys_missed(keys, (struct mono){2 * later}), 0);
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
		cmocka_unit_test_setup_teardown(test_number_of_newcomers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_number_of_settled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_settle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate_of_newcomers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate_of_domain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rate_of_settled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_zeros, set_up, tear_down),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
