/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the tests of coders share: a coder, texts, and the same texts encoded by zlib directly.
 * Included after cmocka.h.
 */
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "gateway/http/coder.h"

enum {
	N_MAX = 10000,
	N_BOMB = 2000000,
	GZIP = MAX_WBITS + 16,
	ZLIB = MAX_WBITS,
	RAW = -MAX_WBITS,
};

static struct coder *coder;

static inline int setup(void **state)
{
	(void)state;
	return coder_new(&coder);
}

static inline int teardown(void **state)
{
	(void)state;
	coder = coder_free(coder);
	return 0;
}

/* Text that compresses, but not extremely well. */
static inline char *make_text(size_t n)
{
	char *text = malloc(n + 1);
	uint32_t random = 1;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++) {
		random = random * 1664525 + 1013904223;
		text[i] = i % 64 < 40 ? "<message type='chat'><body>abcdefghijklm"[i % 64]
				      : (char)(' ' + (random >> 24) % 95);
	}
	text[n] = '\0';
	return text;
}

/* Encodes @text with zlib directly, with a flush after every @flush_each bytes, 0 for none. */
static inline void code_with(int window_bits, int level, int mem_level, size_t flush_each,
			     struct sv text, struct buffer *coded)
{
	z_stream stream = {0};
	size_t n_room = text.n * 2 + 1000 + (flush_each ? text.n / flush_each * 20 : 0);

	assert_int_equal(buffer_reserve(coded, n_room), 0);
	assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, window_bits, mem_level,
				      Z_DEFAULT_STRATEGY),
			 Z_OK);
	stream.next_in = (const Bytef *)text.data;
	stream.next_out = (Bytef *)buffer_end(coded);
	stream.avail_out = (uInt)n_room;
	for (size_t at = 0; flush_each && at + flush_each < text.n; at += flush_each) {
		stream.avail_in = (uInt)flush_each;
		assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
	}
	stream.avail_in = (uInt)(text.n - (size_t)((const char *)stream.next_in - text.data));
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	coded->n += stream.total_out;
	deflateEnd(&stream);
}

static inline void code(int window_bits, struct sv text, struct buffer *coded)
{
	code_with(window_bits, 6, 8, 0, text, coded);
}

static inline enum coding coding_of(int window_bits)
{
	return window_bits == GZIP ? CODING_GZIP : CODING_DEFLATE;
}

/* Decodes a heap copy of exactly that size. */
static inline int decode(enum coding coding, struct sv coded, size_t n_max,
			 struct buffer *ret_plain)
{
	char *copy = malloc(coded.n ? coded.n : 1);

	assert_non_null(copy);
	if (coded.n) {
		memcpy(copy, coded.data, coded.n);
	}
	int r = coder_decode(coder, coding, (struct sv){copy, coded.n}, n_max, ret_plain);

	free(copy);
	return r;
}

static inline void check(enum coding coding, struct sv coded, int expected, struct sv expected_text)
{
	struct buffer plain = BUFFER_INIT;

	assert_int_equal(decode(coding, coded, N_MAX, &plain), expected);
	if (!sv_eq(buffer_sv(&plain), expected_text)) {
		fail_msg("%zu bytes of text, expected %zu", plain.n, expected_text.n);
	}
	buffer_deinit(&plain);
}

static const int formats[] = {GZIP, ZLIB, RAW};
