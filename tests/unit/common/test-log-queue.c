/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/log-queue.h"

enum { RING = 64 };

static char ring[RING];
static struct log_queue queue;

static int set_up(void **state)
{
	(void)state;
	log_queue_init(&queue, ring, sizeof(ring));
	return 0;
}

static void push(const char *line)
{
	assert_true(log_queue_push(&queue, sv_from(line)));
}

static void lose(const char *line)
{
	assert_false(log_queue_push(&queue, sv_from(line)));
}

#define ASSERT_TAKEN(n_max, expected)                              \
	do {                                                       \
		char taken_[RING + 1] = {0};                       \
		size_t n_ = log_queue_take(&queue, taken_, n_max); \
		assert_int_equal(n_, strlen(expected));            \
		taken_[n_] = '\0';                                 \
		assert_string_equal(taken_, expected);             \
	} while (0)

static void test_order(void **state)
{
	(void)state;
	ASSERT_TAKEN(RING, "");
	push("one\n");
	push("two\n");
	push("\n");
	ASSERT_TAKEN(RING, "one\ntwo\n\n");
	ASSERT_TAKEN(RING, "");
	assert_int_equal(log_queue_take_loss(&queue), 0);
}

static void test_whole_lines(void **state)
{
	(void)state;
	push("one\n");
	push("three\n");
	push("four\n");
	ASSERT_TAKEN(9, "one\n");
	ASSERT_TAKEN(11, "three\nfour\n");
	ASSERT_TAKEN(11, "");
}

static void test_full(void **state)
{
	(void)state;
	/* 63 and 1 are 64. */
	push("123456789012345678901234567890123456789012345678901234567890ab\n");
	push("\n");
	lose("\n");
	assert_int_equal(log_queue_take_loss(&queue), 0);
	ASSERT_TAKEN(RING, "123456789012345678901234567890123456789012345678901234567890ab\n\n");
	assert_int_equal(log_queue_take_loss(&queue), 1);
	assert_int_equal(log_queue_take_loss(&queue), 0);
	/* A line that could never fit. */
	lose("1234567890123456789012345678901234567890123456789012345678901234\n");
	assert_int_equal(log_queue_take_loss(&queue), 1);
}

/* A loss has a position. Later ones are added to it, and shorter lines may still fit. */
static void test_loss(void **state)
{
	(void)state;
	push("a2345678901234567890123456789\n");
	push("b2345678901234567890123456789\n");
	lose("c2345\n");
	push("d2\n");
	lose("e2345\n");
	ASSERT_TAKEN(40, "a2345678901234567890123456789\n");
	assert_int_equal(log_queue_take_loss(&queue), 0);
	push("f2345678901234567890123456789\n");
	lose("g2\n");
	ASSERT_TAKEN(RING, "b2345678901234567890123456789\n");
	ASSERT_TAKEN(RING, "");
	assert_int_equal(log_queue_take_loss(&queue), 3);
	ASSERT_TAKEN(RING, "d2\nf2345678901234567890123456789\n");
	assert_int_equal(log_queue_take_loss(&queue), 0);
}

/* Pushes numbered lines of random lengths and takes them at random times, many times around the
 * ring: they come in order, and each is either taken or counted. */
static void test_random(void **state)
{
	unsigned n_pushed = 0;
	unsigned n_taken = 0;
	uint64_t n_lost = 0;
	long last = -1;

	(void)state;
	srand(1);
	for (int i = 0; i < 100000 || queue.n || queue.n_lost; i++) {
		char bytes[RING];

		if (i < 100000) {
			int n = snprintf(bytes, sizeof(bytes), "%u:%.*s\n", n_pushed++, rand() % 20,
					 "xxxxxxxxxxxxxxxxxxxx");

			log_queue_push(&queue, (struct sv){bytes, (size_t)n});
		}
		if (rand() % 3) {
			continue;
		}
		n_lost += log_queue_take_loss(&queue);
		struct sv rest = {bytes, log_queue_take(&queue, bytes, (size_t)(32 + rand() % 32))};

		while (rest.n) {
			long number = strtol(rest.data, NULL, 10);

			assert_true(number > last);
			last = number;
			n_taken++;
			rest = sv_skip(rest, sv_find(rest, '\n') + 1);
		}
	}
	assert_int_equal(n_taken + n_lost, n_pushed);
	assert_in_range(n_lost, 1000, n_pushed / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, set_up),
		cmocka_unit_test_setup(test_whole_lines, set_up),
		cmocka_unit_test_setup(test_full, set_up),
		cmocka_unit_test_setup(test_loss, set_up),
		cmocka_unit_test_setup(test_random, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
