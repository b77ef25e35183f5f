/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "common/buffer.h"
#include "tests/unit/common/wiped.h"

static void assert_bytes(const struct buffer *buffer, const char *expected)
{
	struct sv view = buffer_sv(buffer);

	if (!sv_eq(view, sv_from(expected))) {
		fail_msg("got '%.*s', expected '%s'", SV_ARGS(view), expected);
	}
}

static void test_empty_holds_no_memory(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	assert_non_null(buffer_sv(&buffer).data);
	assert_int_equal(buffer_sv(&buffer).n, 0);
	assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
	assert_int_equal(buffer_append_sv(&buffer, SV_EMPTY), 0);
	assert_int_equal(buffer_append_escaped(&buffer, SV_EMPTY), 0);
	assert_int_equal(buffer_append_escaped(&buffer, SV("")), 0);
	assert_int_equal(buffer_reserve(&buffer, 0), 0);
	assert_null(buffer.data);

	assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
	assert_non_null(buffer.data);
	buffer_consume(&buffer, 3);
	assert_null(buffer.data);
	assert_int_equal(buffer.size, 0);
	buffer_consume(&buffer, 1);
	assert_int_equal(buffer.n, 0);

	assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
	buffer_consume(&buffer, SIZE_MAX);
	assert_null(buffer.data);
	buffer_deinit(&buffer);
	buffer_deinit(&buffer);
}

static void test_truncate(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	buffer_truncate(&buffer, 5);
	assert_int_equal(buffer_append_sv(&buffer, SV("abcdef")), 0);
	buffer_consume(&buffer, 1);
	buffer_truncate(&buffer, 6);
	assert_bytes(&buffer, "bcdef");
	buffer_truncate(&buffer, 2);
	assert_bytes(&buffer, "bc");
	buffer_truncate(&buffer, 0);
	assert_null(buffer.data);
}

static void test_append_and_consume(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	assert_int_equal(buffer_append_sv(&buffer, SV("hello ")), 0);
	assert_int_equal(buffer_append(&buffer, "wor\0ld", 6), 0);
	assert_int_equal(buffer.n, 12);
	assert_memory_equal(buffer_sv(&buffer).data, "hello wor\0ld", 12);
	buffer_consume(&buffer, 0);
	assert_int_equal(buffer.n, 12);
	buffer_consume(&buffer, 6);
	assert_memory_equal(buffer_sv(&buffer).data, "wor\0ld", 6);
	assert_int_equal(buffer_append_sv(&buffer, SV("!")), 0);
	buffer_consume(&buffer, 4);
	assert_bytes(&buffer, "ld!");
	buffer_deinit(&buffer);
}

static void test_clear_keeps_the_memory(void **state)
{
	struct buffer buffer = BUFFER_INIT;
	char *data;

	(void)state;
	assert_int_equal(buffer_append_sv(&buffer, SV("abcdef")), 0);
	buffer_consume(&buffer, 2);
	data = buffer.data;
	buffer_clear(&buffer);
	assert_bytes(&buffer, "");
	assert_int_equal(buffer_append_sv(&buffer, SV("x")), 0);
	assert_ptr_equal(buffer.data, data);
	assert_ptr_equal(buffer_sv(&buffer).data, data);
	assert_bytes(&buffer, "x");
	buffer_deinit(&buffer);
}

static void test_reserve(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	assert_int_equal(buffer_append_sv(&buffer, SV("abc")), 0);
	assert_int_equal(buffer_reserve(&buffer, 10000), 0);
	assert_bytes(&buffer, "abc");
	assert_true(buffer.size - buffer.offset - buffer.n >= 10000);
	memset(buffer_end(&buffer), 'x', 10000);
	buffer.n += 10000;
	assert_int_equal(buffer_sv(&buffer).data[10002], 'x');

	/* A size that cannot be allocated changes nothing. */
	struct buffer before = buffer;

	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), -ENOMEM);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX - buffer.n), -ENOMEM);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX / 2), -ENOMEM);
	assert_memory_equal(&buffer, &before, sizeof(buffer));
	buffer_deinit(&buffer);
}

static void test_escaped(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	assert_int_equal(buffer_append_escaped(&buffer, SV("<a b='c' d=\"e\">&</a>")), 0);
	assert_bytes(&buffer, "&lt;a b=&apos;c&apos; d=&quot;e&quot;&gt;&amp;&lt;/a&gt;");
	buffer_clear(&buffer);
	assert_int_equal(buffer_append_escaped(&buffer, SV("&amp; plain \xc3\xbc &")), 0);
	assert_bytes(&buffer, "&amp;amp; plain \xc3\xbc &amp;");
	buffer_clear(&buffer);
	assert_int_equal(buffer_append_escaped(&buffer, (struct sv){"ab<", 2}), 0);
	assert_bytes(&buffer, "ab");
	buffer_deinit(&buffer);
}

static void test_printf(void **state)
{
	struct buffer buffer = BUFFER_INIT;
	char expected[1001];

	(void)state;
	assert_int_equal(buffer_printf(&buffer, "%s-%d", "a", 7), 0);
	assert_int_equal(buffer_printf(&buffer, "%s", ""), 0);
	assert_bytes(&buffer, "a-7");
	buffer_clear(&buffer);
	assert_int_equal(buffer_printf(&buffer, "%0999d", 0), 0);
	assert_int_equal(buffer_printf(&buffer, "%d", 1), 0);
	/* The locale has no such character. */
	assert_int_equal(buffer_printf(&buffer, "%lc", (wint_t)0x20ac), -EINVAL);
	memset(expected, '0', 999);
	memcpy(expected + 999, "1", 2);
	assert_bytes(&buffer, expected);
	buffer_deinit(&buffer);
}

/* Compares with a plain array over random sizes and sequences of calls. */
static void test_random_queue(void **state)
{
	enum {
		N_MODEL = 1 << 20,
	};
	struct buffer buffer = BUFFER_INIT;
	char *model = malloc(N_MODEL);
	size_t first = 0;
	size_t end = 0;
	unsigned random = 12345;

	(void)state;
	assert_non_null(model);
	for (size_t i = 0; i < N_MODEL; i++) {
		random = random * 1103515245 + 12345;
		model[i] = (char)(random >> 16);
	}
	while (end < N_MODEL - 5000) {
		random = random * 1103515245 + 12345;
		size_t n = (random >> 16) % 3000;

		if (random & 0x100) {
			assert_int_equal(buffer_append(&buffer, model + end, n), 0);
			end += n;
		} else {
			buffer_consume(&buffer, n);
			first += n < end - first ? n : end - first;
		}
		assert_int_equal(buffer.n, end - first);
		assert_true(buffer.offset + buffer.n <= buffer.size);
		assert_memory_equal(buffer_sv(&buffer).data, model + first, end - first);
	}
	buffer_deinit(&buffer);
	free(model);
}

/* A queue that stays nearly full is not copied in each turn and does not grow for ever. */
static void test_full_queue(void **state)
{
	enum {
		N_QUEUE = 65536,
		N_PIECE = 16,
		N_TURNS = 20000,
	};
	struct buffer buffer = BUFFER_INIT;
	char piece[N_PIECE] = {0};
	const char *data = NULL;
	size_t n_moves = 0;

	(void)state;
	for (size_t i = 0; i < N_QUEUE / N_PIECE; i++) {
		assert_int_equal(buffer_append(&buffer, piece, N_PIECE), 0);
	}
	for (size_t i = 0; i < N_TURNS; i++) {
		size_t offset = buffer.offset;

		buffer_consume(&buffer, N_PIECE);
		assert_int_equal(buffer_append(&buffer, piece, N_PIECE), 0);
		n_moves += data != buffer.data || buffer.offset < offset;
		data = buffer.data;
	}
	/* N_TURNS * N_PIECE bytes went through: one copy of the queue for each N_QUEUE of them. */
	assert_in_range(n_moves, 1, 2 + N_TURNS * N_PIECE / N_QUEUE);
	assert_in_range(buffer.size, N_QUEUE, 2 * N_QUEUE);
	buffer_deinit(&buffer);
}

/* Passwords pass through buffers. */
static void test_what_is_freed_is_wiped(void **state)
{
	struct buffer buffer = BUFFER_INIT;
	char filler[1000] = {0};

	(void)state;
	assert_int_equal(buffer_append(&buffer, "secret", 6), 0);
	const char *before = buffer.data;

	/* It grows, and moves. */
	assert_int_equal(buffer_append(&buffer, filler, sizeof(filler)), 0);
	assert_ptr_equal(wiped, before);
	assert_int_equal(n_wiped, 6);
	before = buffer.data;
	buffer_consume(&buffer, buffer.n);
	assert_ptr_equal(wiped, before);
	assert_int_equal(n_wiped, 6 + sizeof(filler));
	wiped = NULL;
	buffer_deinit(&buffer);
	assert_null(wiped);
}

/* Also what a buffer held earlier. What it never held is not touched. */
static void test_wiped_is_what_was_used(void **state)
{
	struct buffer buffer = BUFFER_INIT;
	char filler[200] = {0};

	(void)state;
	assert_int_equal(buffer_append(&buffer, filler, sizeof(filler)), 0);
	buffer_clear(&buffer);
	assert_int_equal(buffer_append(&buffer, "a", 1), 0);
	buffer_deinit(&buffer);
	assert_int_equal(n_wiped, sizeof(filler));

	assert_int_equal(buffer_append(&buffer, filler, sizeof(filler)), 0);
	buffer_truncate(&buffer, 1);
	buffer_deinit(&buffer);
	assert_int_equal(n_wiped, sizeof(filler));

	/* The bytes move to the front. */
	assert_int_equal(buffer_append(&buffer, filler, sizeof(filler)), 0);
	buffer_consume(&buffer, sizeof(filler) - 1);
	assert_int_equal(buffer_reserve(&buffer, buffer.size - 1), 0);
	assert_int_equal(buffer.offset, 0);
	buffer_deinit(&buffer);
	assert_int_equal(n_wiped, sizeof(filler));
}

/* Memory that is kept is wiped, too, and not again when it is freed. */
static void test_wiped_and_kept(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	buffer_wipe(&buffer);
	assert_null(buffer.data);
	assert_int_equal(buffer_append(&buffer, "secret", 6), 0);
	buffer_consume(&buffer, 2);
	const char *data = buffer.data;

	wiped = NULL;
	buffer_wipe(&buffer);
	assert_ptr_equal(wiped, data);
	assert_int_equal(n_wiped, 6);
	assert_ptr_equal(buffer.data, data);
	assert_int_equal(buffer.n, 0);
	assert_int_equal(buffer_append(&buffer, "a", 1), 0);
	buffer_deinit(&buffer);
	assert_int_equal(n_wiped, 1);
}

static size_t wiped_of_message(size_t n)
{
	struct buffer buffer = BUFFER_INIT;

	assert_int_equal(buffer_reserve(&buffer, n), 0);
	memset(buffer_end(&buffer), 'x', n);
	buffer.n = n;
	buffer_deinit_message(&buffer);
	assert_null(buffer.data);
	buffer_deinit_message(&buffer);
	return n_wiped;
}

/* Of one long message the beginning only. */
static void test_wiped_of_a_message(void **state)
{
	(void)state;
	assert_int_equal(wiped_of_message(BUFFER_WIPE_MAX), BUFFER_WIPE_MAX);
	assert_int_equal(wiped_of_message(BUFFER_WIPE_MAX + 1), BUFFER_WIPE_MAX);
}

/* A small size is rounded up to a power of two, a large one that is asked for at once to a page.
 * What grows step by step is doubled. */
static void test_sizes(void **state)
{
	static const size_t sizes[][2] = {
		{1, 256},       {257, 512},       {40000, 65536},   {65536, 65536},
		{65537, 69632}, {262144, 262144}, {262145, 266240},
	};
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		assert_int_equal(buffer_reserve(&buffer, sizes[i][0]), 0);
		assert_int_equal(buffer.size, sizes[i][1]);
		buffer_deinit(&buffer);
	}
	assert_int_equal(buffer_reserve(&buffer, 69632), 0);
	memset(buffer_end(&buffer), 'x', 69632);
	buffer.n = 69632;
	assert_int_equal(buffer_append(&buffer, "x", 1), 0);
	assert_int_equal(buffer.size, 2 * 69632);
	buffer_deinit(&buffer);
}

/* Room before the bytes of an empty buffer only: they are not moved for it. */
static void test_reserve_around(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	assert_int_equal(buffer_reserve_around(&buffer, 100, 1000), 0);
	assert_int_equal(buffer.offset, 100);
	const char *data = buffer.data;

	memset(buffer_end(&buffer), 'x', 1000);
	buffer.n = 1000;
	assert_true(buffer.size >= 1100);
	assert_int_equal(buffer_reserve_around(&buffer, 5000, 10), 0);
	assert_ptr_equal(buffer_sv(&buffer).data, data + 100);
	buffer_clear(&buffer);
	assert_int_equal(buffer_reserve_around(&buffer, 10, 1), 0);
	assert_ptr_equal(buffer_end(&buffer), data + 10);
	struct buffer before = buffer;

	assert_int_equal(buffer_reserve_around(&buffer, 10, SIZE_MAX / 2), -ENOMEM);
	buffer.offset = before.offset;
	assert_memory_equal(&buffer, &before, sizeof(buffer));
	buffer_deinit(&buffer);
}

/* The memory goes to the caller, who wipes it. What was behind the bytes is wiped here. */
static void test_release(void **state)
{
	struct buffer buffer = BUFFER_INIT;

	(void)state;
	assert_null(buffer_release(&buffer));
	assert_int_equal(buffer_append_sv(&buffer, SV("abcdef")), 0);
	buffer_consume(&buffer, 1);
	buffer_truncate(&buffer, 2);
	n_wiped = 0;
	char *bytes = buffer_release(&buffer);

	assert_memory_equal(bytes - 1, "abc", 3);
	assert_int_equal(n_wiped, 3);
	assert_null(buffer.data);
	assert_int_equal(buffer.size, 0);
	free(bytes - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_holds_no_memory),
		cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_append_and_consume),
		cmocka_unit_test(test_clear_keeps_the_memory),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_escaped),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_random_queue),
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_what_is_freed_is_wiped),
		cmocka_unit_test(test_wiped_is_what_was_used),
		cmocka_unit_test(test_wiped_and_kept),
		cmocka_unit_test(test_wiped_of_a_message),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_reserve_around),
		cmocka_unit_test(test_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
