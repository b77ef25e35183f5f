/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/http/coding-case.h"

static void test_decode(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 100, 4095, 4096, 4097, 9000, N_MAX};
	char *text = make_text(N_MAX);

	(void)state;
	for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
		for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
			struct sv view = {text, sizes[s]};
			struct buffer coded = BUFFER_INIT;

			code(formats[f], view, &coded);
			check(coding_of(formats[f]), buffer_sv(&coded), CODING_OK, view);
			buffer_deinit(&coded);
		}
	}
	free(text);
}

/* Every way in which a client may encode: stored, smallest blocks, small windows, a flush after
 * each line. */
static void test_decode_any_coder(void **state)
{
	/* Stored, with either search of zlib, and with the best compression. */
	static const int levels[] = {0, 1, 6, 9};
	char *text = make_text(N_MAX);
	struct sv view = {text, N_MAX};

	(void)state;
	for (size_t l = 0; l < ARRAY_LENGTH(levels); l++) {
		for (int mem_level = 1; mem_level <= 9; mem_level += 4) {
			for (int bits = 9; bits <= 15; bits += 3) {
				for (size_t f = 0; f < 3; f++) {
					const int window_bits[] = {bits + 16, bits, -bits};
					struct buffer coded = BUFFER_INIT;

					code_with(window_bits[f], levels[l], mem_level, 0, view,
						  &coded);
					check(f ? CODING_DEFLATE : CODING_GZIP, buffer_sv(&coded),
					      CODING_OK, view);
					buffer_deinit(&coded);
					code_with(window_bits[f], levels[l], mem_level, 200, view,
						  &coded);
					check(f ? CODING_DEFLATE : CODING_GZIP, buffer_sv(&coded),
					      CODING_OK, view);
					buffer_deinit(&coded);
				}
			}
		}
	}
	free(text);
}

/* RFC 1952, 2.3: a name, a comment, more fields and a check of the header. */
static void test_gzip_header_fields(void **state)
{
	Bytef name[] = "name", comment[] = "comment", extra[] = "ab\2\0cd";
	gz_header header = {.name = name,
			    .comment = comment,
			    .extra = extra,
			    .extra_len = 6,
			    .hcrc = 1,
			    .time = 1};
	Bytef coded[200];
	z_stream stream = {.next_in = (const Bytef *)"text",
			   .avail_in = 4,
			   .next_out = coded,
			   .avail_out = sizeof(coded)};

	(void)state;
	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflateSetHeader(&stream, &header), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	check(CODING_GZIP, (struct sv){(char *)coded, stream.total_out}, CODING_OK, SV("text"));
	deflateEnd(&stream);
	/* A reserved bit. */
	coded[3] |= 0x80;
	check(CODING_GZIP, (struct sv){(char *)coded, stream.total_out}, CODING_E_CORRUPT, SV(""));
}

/* Every truncated input is refused, and what it decodes to is a prefix of the text. */
static void test_cut_off(void **state)
{
	char *text = make_text(300);

	(void)state;
	for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
		struct buffer coded = BUFFER_INIT;

		code_with(formats[f], 6, 8, 100, (struct sv){text, 300}, &coded);
		for (size_t n = 0; n < coded.n; n++) {
			struct sv beginning = sv_first(buffer_sv(&coded), n);
			struct buffer plain = BUFFER_INIT;

			if (decode(coding_of(formats[f]), beginning, N_MAX, &plain) !=
			    CODING_E_CORRUPT) {
				fail_msg("%zu of %zu bytes (%d) were taken", n, coded.n,
					 formats[f]);
			}
			assert_true(plain.n <= 300);
			assert_memory_equal(buffer_sv(&plain).data, text, plain.n);
			buffer_deinit(&plain);
		}
		check(coding_of(formats[f]), buffer_sv(&coded), CODING_OK, (struct sv){text, 300});
		buffer_deinit(&coded);
	}
	free(text);
}

/* A flipped bit never results in another text, where the format has a checksum. */
static void test_corrupt(void **state)
{
	char *text = make_text(300);

	(void)state;
	for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
		struct buffer coded = BUFFER_INIT;
		size_t n_refused = 0;

		code(formats[f], (struct sv){text, 300}, &coded);
		for (size_t bit = 0; bit < coded.n * 8; bit++) {
			struct buffer plain = BUFFER_INIT;

			coded.data[bit / 8] ^= (char)(1 << bit % 8);
			int r = decode(coding_of(formats[f]), buffer_sv(&coded), N_MAX, &plain);

			coded.data[bit / 8] ^= (char)(1 << bit % 8);
			assert_true(r == CODING_OK || r == CODING_E_CORRUPT ||
				    r == CODING_E_TOO_LARGE);
			n_refused += r != CODING_OK;
			if (r == CODING_OK && formats[f] != RAW) {
				assert_true(sv_eq(buffer_sv(&plain), (struct sv){text, 300}));
			}
			assert_true(plain.n <= N_MAX + 1);
			buffer_deinit(&plain);
		}
		assert_true(n_refused > coded.n);
		buffer_deinit(&coded);
	}
	free(text);
}

/* The whole text is there, but the checksum or length is wrong. */
static void test_checks(void **state)
{
	static const struct {
		int format;
		size_t from_end;
	} rows[] = {{GZIP, 8}, {GZIP, 5}, {GZIP, 4}, {GZIP, 1}, {ZLIB, 4}, {ZLIB, 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct buffer coded = BUFFER_INIT;

		code(rows[i].format, SV("<body/>"), &coded);
		coded.data[coded.n - rows[i].from_end] ^= 1;
		check(coding_of(rows[i].format), buffer_sv(&coded), CODING_E_CORRUPT,
		      SV("<body/>"));
		buffer_deinit(&coded);
	}
}

static void test_trailing(void **state)
{
	static const struct sv tails[] = {
		{"\0", 1}, {"x", 1}, {"\n", 1}, {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16}};

	(void)state;
	for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
		for (size_t i = 0; i < ARRAY_LENGTH(tails); i++) {
			struct buffer coded = BUFFER_INIT;

			code(formats[f], SV("<body/>"), &coded);
			assert_int_equal(buffer_append_sv(&coded, tails[i]), 0);
			check(coding_of(formats[f]), buffer_sv(&coded), CODING_E_CORRUPT,
			      SV("<body/>"));
			buffer_deinit(&coded);
		}
	}
}

/* RFC 1952, 2.2: "A gzip file consists of a series of members". Of deflate there is but one
 * stream. */
static void test_members(void **state)
{
	(void)state;
	for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
		struct buffer coded = BUFFER_INIT;

		code(formats[f], SV("<body "), &coded);
		code(formats[f], SV(""), &coded);
		code(formats[f], SV("rid='1'/>"), &coded);
		if (formats[f] == GZIP) {
			check(CODING_GZIP, buffer_sv(&coded), CODING_OK, SV("<body rid='1'/>"));
			check(CODING_GZIP, sv_first(buffer_sv(&coded), coded.n - 1),
			      CODING_E_CORRUPT, SV("<body rid='1'/>"));
			assert_int_equal(buffer_append(&coded, "\x1f", 1), 0);
			check(CODING_GZIP, buffer_sv(&coded), CODING_E_CORRUPT,
			      SV("<body rid='1'/>"));
		} else {
			check(CODING_DEFLATE, buffer_sv(&coded), CODING_E_CORRUPT, SV("<body "));
		}
		buffer_deinit(&coded);
	}
}

/* Only one coding is removed, not two. */
static void test_nested(void **state)
{
	struct buffer inner = BUFFER_INIT, outer = BUFFER_INIT;

	(void)state;
	code(GZIP, SV("<body/>"), &inner);
	code(GZIP, buffer_sv(&inner), &outer);
	check(CODING_GZIP, buffer_sv(&outer), CODING_OK, buffer_sv(&inner));
	buffer_deinit(&inner);
	buffer_deinit(&outer);
}

static void test_wrong_format(void **state)
{
	/* Of zlib's header: FDICT, and a window of 64 KB. */
	static const struct sv rows[] = {{"", 0},
					 {"x", 1},
					 {"x\x9c", 2},
					 {"<body/>", 7},
					 {"x\xbb\0\0\0\1\3\0", 8},
					 {"\x88\x1c\3\0\0\0\0\1", 8},
					 {"\x1f\x8b", 2},
					 {"\x1f\x8b\7", 3}};
	struct buffer coded = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check(CODING_GZIP, rows[i], CODING_E_CORRUPT, SV(""));
		check(CODING_DEFLATE, rows[i], CODING_E_CORRUPT, SV(""));
	}
	code(GZIP, SV("<body/>"), &coded);
	check(CODING_DEFLATE, buffer_sv(&coded), CODING_E_CORRUPT, SV(""));
	buffer_deinit(&coded);
	code(ZLIB, SV("<body/>"), &coded);
	check(CODING_GZIP, buffer_sv(&coded), CODING_E_CORRUPT, SV(""));
	buffer_deinit(&coded);
}

/* Bare deflate with a first byte as zlib's header has it: the check bits tell them apart. A stored
 * block (RFC 1951, 3.2.4) of "text", whose padding is not zero, and an empty one. */
static void test_bare_like_zlib(void **state)
{
	(void)state;
	check(CODING_DEFLATE, SV("\x08\4\0\xfb\xfftext\1\0\0\xff\xff"), CODING_OK, SV("text"));
}

static void check_bomb(int format, struct sv text, int expected)
{
	struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

	code(format, text, &coded);
	assert_true(coded.n < 30 + text.n / 500);
	assert_int_equal(decode(coding_of(format), buffer_sv(&coded), N_MAX, &plain), expected);
	assert_int_equal(plain.n, text.n <= N_MAX ? text.n : N_MAX + 1);
	assert_true(plain.size <= 2 * (N_MAX + 1));
	buffer_deinit(&plain);
	buffer_deinit(&coded);
}

/* @text has exactly the longest length that is allowed. */
static void check_bomb_of_members(struct sv text)
{
	struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

	code(GZIP, text, &coded);
	code(GZIP, SV(""), &coded);
	check(CODING_GZIP, buffer_sv(&coded), CODING_OK, text);
	code(GZIP, SV("x"), &coded);
	assert_int_equal(decode(CODING_GZIP, buffer_sv(&coded), N_MAX, &plain), CODING_E_TOO_LARGE);
	assert_int_equal(plain.n, N_MAX + 1);
	buffer_deinit(&plain);
	buffer_deinit(&coded);
}

/* The limit of the text: n, n + 1 and far more, in one member or several. */
static void test_bomb(void **state)
{
	static const struct {
		size_t n;
		int expected;
	} rows[] = {
		{N_MAX - 1, CODING_OK},
		{N_MAX, CODING_OK},
		{N_MAX + 1, CODING_E_TOO_LARGE},
		{N_BOMB, CODING_E_TOO_LARGE},
	};
	char *zeros = calloc(1, N_BOMB);

	(void)state;
	assert_non_null(zeros);
	for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
		for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
			check_bomb(formats[f], (struct sv){zeros, rows[i].n}, rows[i].expected);
		}
	}
	check_bomb_of_members((struct sv){zeros, N_MAX});
	free(zeros);
}

/* @n_blocks stored blocks (RFC 1951, 3.2.4) of @n_text bytes each. */
static void make_blocks(size_t n_blocks, unsigned n_text, struct buffer *coded)
{
	for (size_t i = 0; i < n_blocks; i++) {
		const unsigned char head[] = {i + 1 == n_blocks, (unsigned char)n_text, 0,
					      (unsigned char)~n_text, 0xff};

		assert_int_equal(buffer_append(coded, head, sizeof(head)), 0);
		for (unsigned j = 0; j < n_text; j++) {
			assert_int_equal(buffer_append(coded, " ", 1), 0);
		}
	}
}

static void check_blocks(size_t n_blocks, unsigned n_text, int expected)
{
	struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

	make_blocks(n_blocks, n_text, &coded);
	assert_int_equal(decode(CODING_DEFLATE, buffer_sv(&coded), SIZE_MAX / 8, &plain), expected);
	if (expected == CODING_OK) {
		assert_int_equal(plain.n, n_blocks * n_text);
	}
	buffer_deinit(&plain);
	buffer_deinit(&coded);
}

/* The limit of work that results in no text. */
static void test_blocks(void **state)
{
	struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

	(void)state;
	check_blocks(CODING_BLOCKS_FREE, 0, CODING_OK);
	check_blocks(CODING_BLOCKS_FREE + 1, 0, CODING_E_TOO_LARGE);
	/* Any number of blocks, if each has enough text. */
	check_blocks(50000, CODING_BLOCK_TEXT, CODING_OK);
	check_blocks(CODING_BLOCKS_FREE * CODING_BLOCK_TEXT, CODING_BLOCK_TEXT - 1, CODING_OK);
	check_blocks(CODING_BLOCKS_FREE * CODING_BLOCK_TEXT + 1, CODING_BLOCK_TEXT - 1,
		     CODING_E_TOO_LARGE);

	/* Members are blocks, too, and what stands before the first counts as one. */
	for (int i = 0; i < CODING_BLOCKS_FREE / 2; i++) {
		code(GZIP, SV(""), &coded);
	}
	check(CODING_GZIP, buffer_sv(&coded), CODING_OK, SV(""));
	code(GZIP, SV(""), &coded);
	check(CODING_GZIP, buffer_sv(&coded), CODING_E_TOO_LARGE, SV(""));
	for (int i = 0; i < 20000; i++) {
		code(GZIP, SV(""), &coded);
	}
	assert_int_equal(decode(CODING_GZIP, buffer_sv(&coded), N_MAX, &plain), CODING_E_TOO_LARGE);
	buffer_deinit(&plain);
	buffer_deinit(&coded);
}

/* What zlib itself, told to expect that very format, makes of an answer. */
static void check_coded(int window_bits, const struct blob *coded, struct sv expected)
{
	char *text = malloc(expected.n + 1);
	z_stream stream = {.next_in = (const Bytef *)coded->data,
			   .avail_in = (uInt)coded->n,
			   .next_out = (Bytef *)text,
			   .avail_out = (uInt)expected.n + 1};

	assert_non_null(text);
	assert_int_equal(inflateInit2(&stream, window_bits), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	assert_int_equal(stream.total_out, expected.n);
	assert_memory_equal(text, expected.data, expected.n);
	inflateEnd(&stream);
	free(text);
}

static void test_encode(void **state)
{
	static const size_t sizes[] = {0, 1, 100, CODING_TEXT_MIN, 20000, CODING_TEXT_MAX};
	char *text = make_text(CODING_TEXT_MAX);

	(void)state;
	/* In turn, so that the state is made anew each time; and twice, so that it is used
	 * again. */
	for (int i = 0; i < 8; i++) {
		int format = i / 2 % 2 ? ZLIB : GZIP;

		for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
			struct sv view = {text, sizes[s]};
			struct blob *coded;

			assert_int_equal(coder_encode(coder, coding_of(format), view, &coded), 0);
			check_coded(format, coded, view);
			assert_true(sizes[s] < CODING_TEXT_MIN || coded->n < sizes[s]);
			blob_unref(coded);
		}
	}
	free(text);
}

/* Bytes without any pattern become a little longer, and are coded all the same. */
static void test_encode_noise(void **state)
{
	char noise[20000];
	uint32_t random = 1;
	struct blob *coded;

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++) {
		random = random * 1664525 + 1013904223;
		noise[i] = (char)(random >> 24);
	}
	assert_int_equal(
		coder_encode(coder, CODING_GZIP, (struct sv){noise, sizeof(noise)}, &coded), 0);
	check_coded(GZIP, coded, (struct sv){noise, sizeof(noise)});
	blob_unref(coded);
}

static void test_free_nothing(void **state)
{
	struct coder *own;

	(void)state;
	assert_null(coder_free(NULL));
	assert_int_equal(coder_new(&own), 0);
	assert_null(coder_free(own));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_any_coder),
		cmocka_unit_test(test_gzip_header_fields),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_corrupt),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_wrong_format),
		cmocka_unit_test(test_bare_like_zlib),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_encode_noise),
		cmocka_unit_test(test_free_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
