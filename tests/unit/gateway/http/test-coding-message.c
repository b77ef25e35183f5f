/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/http/coding-case.h"

static int decode_message(struct sv coded, size_t n_max, struct buffer *plain)
{
	struct buffer copy = BUFFER_INIT;

	assert_int_equal(buffer_append_sv(&copy, coded), 0);
	int r = coder_decode_message(coder, &copy, n_max, plain);

	buffer_deinit(&copy);
	return r;
}

#define BYTES(literal)                          \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

/* RFC 7692, 7.2.3, and what is none. */
static void test_examples(void **state)
{
	static const struct {
		struct sv coded;
		int result;
		const char *plain;
	} rows[] = {
		{BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), CODING_OK, "Hello"},
		{BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), CODING_OK, "Hello"},
		/* With a final block. */
		{BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), CODING_OK, "Hello"},
		/* Two blocks. */
		{BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), CODING_OK, "Hello"},
		{BYTES("\x00"), CODING_OK, ""},
		/* It refers to the message before it, although that was negotiated away. */
		{BYTES("\xf2\x00\x11\x00\x00"), CODING_E_CORRUPT, NULL},
		{BYTES("\x00\x05\x00\xfa\xff\x48\x65"), CODING_E_CORRUPT, NULL},
		{BYTES("\x07"), CODING_E_CORRUPT, NULL},
		{BYTES("Hello"), CODING_E_CORRUPT, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct buffer plain = BUFFER_INIT;

		if (decode_message(rows[i].coded, N_MAX, &plain) != rows[i].result) {
			fail_msg("row %zu: '%.*s'", i, SV_ARGS(buffer_sv(&plain)));
		}
		if (rows[i].plain) {
			assert_true(sv_eq(buffer_sv(&plain), sv_from(rows[i].plain)));
		}
		buffer_deinit(&plain);
	}
}

/* What is encoded is decoded, and does not depend on what was encoded before. */
static void test_round_trip(void **state)
{
	static const size_t sizes[] = {1, 2, 100, 4096, 9000, N_MAX};
	char *text = make_text(N_MAX);

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		struct buffer coded = BUFFER_INIT, again = BUFFER_INIT, plain = BUFFER_INIT;
		struct sv view = {text, sizes[i]};

		assert_int_equal(coder_encode_message(coder, view, &coded), 0);
		assert_int_equal(coder_encode_message(coder, view, &again), 0);
		assert_true(sv_eq(buffer_sv(&coded), buffer_sv(&again)));
		assert_int_equal(decode_message(buffer_sv(&coded), N_MAX, &plain), CODING_OK);
		assert_true(sv_eq(buffer_sv(&plain), view));
		buffer_deinit(&coded);
		buffer_deinit(&again);
		buffer_deinit(&plain);
	}
	free(text);
}

/* A small message that would expand to much is stopped one byte behind the limit. */
static void test_bomb(void **state)
{
	static const struct {
		size_t n;
		int result;
	} rows[] = {
		{N_MAX, CODING_OK},
		{N_MAX + 1, CODING_E_TOO_LARGE},
		{CODING_TEXT_MAX, CODING_E_TOO_LARGE},
	};
	char *text = calloc(1, CODING_TEXT_MAX);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

		assert_int_equal(coder_encode_message(coder, (struct sv){text, rows[i].n}, &coded),
				 0);
		assert_true(coded.n < 1000);
		assert_int_equal(decode_message(buffer_sv(&coded), N_MAX, &plain), rows[i].result);
		assert_true(plain.n <= N_MAX + 1);
		buffer_deinit(&coded);
		buffer_deinit(&plain);
	}
	free(text);
}

/* Blocks without text cost time: so many are allowed, and no more. */
static void test_empty_blocks(void **state)
{
	(void)state;
	for (size_t more = 0; more < 2; more++) {
		struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

		/* The block that the flush completes counts, too. */
		for (size_t i = 1; i < CODING_BLOCKS_FREE + more; i++) {
			assert_int_equal(buffer_append(&coded, "\x00\x00\x00\xff\xff", 5), 0);
		}
		assert_int_equal(buffer_append(&coded, "", 1), 0);
		assert_int_equal(decode_message(buffer_sv(&coded), N_MAX, &plain),
				 more ? CODING_E_TOO_LARGE : CODING_OK);
		buffer_deinit(&coded);
		buffer_deinit(&plain);
	}
}

static int scenario(void *userdata)
{
	struct coder *own;
	struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;
	int r = coder_new(&own);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	r = coder_encode_message(own, SV("hello hello hello"), &coded);
	if (r == 0) {
		r = coder_decode_message(own, &coded, N_MAX, &plain);
	}
	buffer_deinit(&coded);
	buffer_deinit(&plain);
	coder_free(own);
	return r;
}

static void test_without_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),       cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_bomb),           cmocka_unit_test(test_empty_blocks),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
