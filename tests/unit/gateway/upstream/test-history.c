/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/upstream/history.h"

static struct mono at(int64_t ms)
{
	return (struct mono){ms};
}

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), -1, &address), 0);
	return address;
}

static void note(struct history *history, const char *text, enum history_verdict verdict,
		 int64_t ms)
{
	struct address address = address_of(text);

	history_note(history, &address, verdict, at(ms));
}

static void check(const struct history *history, const char *text, int64_t ms,
		  enum history_verdict verdict)
{
	struct address address = address_of(text);

	assert_int_equal(history_ask(history, "a.example", &address, at(ms)), verdict);
}

static void test_nothing(void **state)
{
	struct history history = {0};

	(void)state;
	check(&history, "192.0.2.1:1", 0, HISTORY_NOTHING);
	note(&history, "192.0.2.1:1", HISTORY_NOTHING, 0);
	assert_int_equal(history.n_entries, 0);
}

/* Host and port make the address, in both families. */
static void test_addresses(void **state)
{
	struct history history = {0};

	(void)state;
	note(&history, "192.0.2.1:5222", HISTORY_FAILED, 0);
	note(&history, "[2001:db8::1]:5222", HISTORY_WON, 0);
	check(&history, "192.0.2.1:5222", 0, HISTORY_FAILED);
	check(&history, "[::ffff:192.0.2.1]:5222", 0, HISTORY_FAILED);
	check(&history, "192.0.2.1:5223", 0, HISTORY_NOTHING);
	check(&history, "192.0.2.2:5222", 0, HISTORY_NOTHING);
	check(&history, "[2001:db8::1]:5222", 0, HISTORY_WON);
	check(&history, "[2001:db8::1]:5223", 0, HISTORY_NOTHING);
	check(&history, "[2001:db8::2]:5222", 0, HISTORY_NOTHING);
}

static void test_later_word_counts(void **state)
{
	struct history history = {0};

	(void)state;
	note(&history, "192.0.2.1:1", HISTORY_FAILED, 0);
	note(&history, "192.0.2.1:1", HISTORY_WON, 1);
	assert_int_equal(history.n_entries, 1);
	check(&history, "192.0.2.1:1", 1, HISTORY_WON);
	note(&history, "192.0.2.1:1", HISTORY_FAILED, 2);
	check(&history, "192.0.2.1:1", HISTORY_MS + 1, HISTORY_FAILED);
	note(&history, "192.0.2.2:1", HISTORY_FAILED, 3);
	note(&history, "192.0.2.1:1", HISTORY_NOTHING, 3);
	assert_int_equal(history.n_entries, 1);
	check(&history, "192.0.2.1:1", 3, HISTORY_NOTHING);
	check(&history, "192.0.2.2:1", 3, HISTORY_FAILED);
}

static void test_time(void **state)
{
	struct history history = {0};

	(void)state;
	note(&history, "192.0.2.1:1", HISTORY_FAILED, 1000);
	note(&history, "192.0.2.2:1", HISTORY_WON, 1001);
	check(&history, "192.0.2.1:1", 1000 + HISTORY_MS - 1, HISTORY_FAILED);
	check(&history, "192.0.2.1:1", 1000 + HISTORY_MS, HISTORY_NOTHING);
	check(&history, "192.0.2.2:1", 1000 + HISTORY_MS, HISTORY_WON);
	check(&history, "192.0.2.2:1", 1001 + HISTORY_MS, HISTORY_NOTHING);
	/* Asking changes nothing. The next note removes expired entries. */
	assert_int_equal(history.n_entries, 2);
	note(&history, "192.0.2.3:1", HISTORY_WON, 1000 + HISTORY_MS);
	assert_int_equal(history.n_entries, 2);
	check(&history, "192.0.2.2:1", 1000 + HISTORY_MS, HISTORY_WON);
	note(&history, "192.0.2.3:1", HISTORY_NOTHING, 1001 + HISTORY_MS);
	assert_int_equal(history.n_entries, 0);
}

static void note_unusable(struct history *history, const char *domain, const char *text, int64_t ms)
{
	struct address address = address_of(text);

	history_note_unusable(history, domain, &address, at(ms));
}

static void check_for(const struct history *history, const char *domain, const char *text,
		      int64_t ms, enum history_verdict verdict)
{
	struct address address = address_of(text);

	assert_int_equal(history_ask(history, domain, &address, at(ms)), verdict);
}

/* Usability is noted for one domain, reachability for all. Neither changes the other. */
static void test_domains(void **state)
{
	struct address address = address_of("192.0.2.1:1");
	struct history history = {0};

	(void)state;
	note_unusable(&history, "a.example", "192.0.2.1:1", 0);
	check_for(&history, "a.example", "192.0.2.1:1", 0, HISTORY_UNUSABLE);
	check_for(&history, "a.example", "192.0.2.1:2", 0, HISTORY_NOTHING);
	check_for(&history, "a.example", "192.0.2.2:1", 0, HISTORY_NOTHING);
	check_for(&history, "b.example", "192.0.2.1:1", 0, HISTORY_NOTHING);
	check_for(&history, "sub.a.example", "192.0.2.1:1", 0, HISTORY_NOTHING);
	check_for(&history, "", "192.0.2.1:1", 0, HISTORY_NOTHING);
	note(&history, "192.0.2.1:1", HISTORY_WON, 1);
	check_for(&history, "a.example", "192.0.2.1:1", 1, HISTORY_UNUSABLE);
	check_for(&history, "b.example", "192.0.2.1:1", 1, HISTORY_WON);
	note_unusable(&history, "b.example", "192.0.2.1:1", 2);
	note(&history, "192.0.2.1:1", HISTORY_NOTHING, 2);
	check_for(&history, "b.example", "192.0.2.1:1", 2, HISTORY_UNUSABLE);
	history_forget_unusable(&history, "a.example", &address, at(3));
	check_for(&history, "a.example", "192.0.2.1:1", 3, HISTORY_NOTHING);
	check_for(&history, "b.example", "192.0.2.1:1", HISTORY_MS + 1, HISTORY_UNUSABLE);
	check_for(&history, "b.example", "192.0.2.1:1", HISTORY_MS + 2, HISTORY_NOTHING);
	assert_int_equal(history.n_entries, 1);
}

/* Entries of a stranger's domains replace the oldest entries, and never exceed the bound. Names of
 * maximum length are stored whole. */
static void test_domains_bound(void **state)
{
	static struct history history;
	char names[2][DOMAIN_MAX + 1];
	char text[32];

	(void)state;
	for (int i = 0; i < 2; i++) {
		memset(names[i], 'a', DOMAIN_MAX);
		names[i][DOMAIN_MAX - 1] = (char)('a' + i);
		names[i][DOMAIN_MAX] = '\0';
	}
	note_unusable(&history, names[0], "192.0.2.1:1", 0);
	check_for(&history, names[0], "192.0.2.1:1", 0, HISTORY_UNUSABLE);
	check_for(&history, names[1], "192.0.2.1:1", 0, HISTORY_NOTHING);
	for (size_t i = 0; i + 1 < HISTORY_MAX; i++) {
		snprintf(text, sizeof(text), "d%zu.example", i);
		note_unusable(&history, text, "192.0.2.1:1", 1);
	}
	check_for(&history, names[0], "192.0.2.1:1", 2, HISTORY_UNUSABLE);
	note_unusable(&history, "one-more.example", "192.0.2.1:1", 3);
	assert_int_equal(history.n_entries, HISTORY_MAX);
	check_for(&history, names[0], "192.0.2.1:1", 3, HISTORY_NOTHING);
	check_for(&history, "d0.example", "192.0.2.1:1", 3, HISTORY_UNUSABLE);
	check_for(&history, "one-more.example", "192.0.2.1:1", 3, HISTORY_UNUSABLE);
}

static const char *nth(size_t i, char text[static 32])
{
	snprintf(text, 32, "192.0.2.1:%zu", i + 1);
	return text;
}

static void test_bound(void **state)
{
	static struct history history;
	char text[32];

	(void)state;
	/* The oldest is in the middle. */
	for (size_t i = 0; i < HISTORY_MAX; i++) {
		note(&history, nth(i, text), HISTORY_FAILED, i == 7 ? 10 : 20 + (int64_t)i);
	}
	assert_int_equal(history.n_entries, HISTORY_MAX);
	for (size_t i = 0; i < HISTORY_MAX; i++) {
		check(&history, nth(i, text), 1000, HISTORY_FAILED);
	}
	/* One more evicts the oldest; a further one the next oldest, which is the first. */
	note(&history, nth(HISTORY_MAX, text), HISTORY_WON, 1000);
	assert_int_equal(history.n_entries, HISTORY_MAX);
	check(&history, nth(7, text), 1000, HISTORY_NOTHING);
	check(&history, nth(0, text), 1000, HISTORY_FAILED);
	check(&history, nth(HISTORY_MAX, text), 1000, HISTORY_WON);
	note(&history, nth(HISTORY_MAX + 1, text), HISTORY_WON, 1000);
	check(&history, nth(0, text), 1000, HISTORY_NOTHING);
	check(&history, nth(1, text), 1000, HISTORY_FAILED);
	/* A known address evicts no other. */
	note(&history, nth(1, text), HISTORY_WON, 1001);
	for (size_t i = 1; i < HISTORY_MAX + 2; i++) {
		struct address address = address_of(nth(i, text));

		assert_int_equal(history_ask(&history, "", &address, at(1001)) != HISTORY_NOTHING,
				 i != 7);
	}
}

/* It may be any of them, and only one goes. */
static void test_oldest(void **state)
{
	static struct history history;
	char text[32];

	(void)state;
	for (size_t oldest = 0; oldest < HISTORY_MAX; oldest++) {
		history = (struct history){0};
		for (size_t i = 0; i < HISTORY_MAX; i++) {
			note(&history, nth(i, text), HISTORY_FAILED, i == oldest ? 10 : 20);
		}
		note(&history, nth(HISTORY_MAX, text), HISTORY_WON, 30);
		for (size_t i = 0; i <= HISTORY_MAX; i++) {
			check(&history, nth(i, text), 30,
			      i == oldest        ? HISTORY_NOTHING
			      : i == HISTORY_MAX ? HISTORY_WON
						 : HISTORY_FAILED);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_later_word_counts),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_oldest),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_domains_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
