/* SPDX-License-Identifier: MIT */
/*
 * http/coder.h. The first byte decides: decode the rest, as one of the three formats, or encode it
 * and decode that. No more comes out than is allowed, and the coder that has been used gives what a
 * new one does. What was encoded is decoded to the same text, one byte less than it needs is
 * refused.
 *
 * covers: gateway/http/coder.c gateway/http/coding.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/http/coder.h"

enum {
	PLAIN_MAX = 20000,
	FORMAT_MESSAGE = CODING_COUNT,
	FORMATS,
};

static struct coder *used_coder;

static int decode(struct coder *coder, unsigned format, struct sv coded, size_t n_max,
		  struct buffer *plain)
{
	char *copy = fuzz_copy(coded);
	struct buffer message = BUFFER_INIT;
	int r;

	if (format == FORMAT_MESSAGE) {
		assert_int_equal(buffer_append_sv(&message, coded), 0);
		r = coder_decode_message(coder, &message, n_max, plain);
	} else {
		r = coder_decode(coder, (enum coding)format, (struct sv){copy, coded.n}, n_max,
				 plain);
	}
	buffer_deinit(&message);
	free(copy);
	FUZZ_CHECK(r >= 0 && plain->n <= n_max + 1);
	FUZZ_CHECK(r != CODING_OK || plain->n <= n_max);
	return r;
}

static void check_decoded(unsigned format, struct sv coded)
{
	struct buffer plain = BUFFER_INIT, same = BUFFER_INIT;
	struct coder *fresh;
	int r = decode(used_coder, format, coded, PLAIN_MAX, &plain);

	assert_int_equal(coder_new(&fresh), 0);
	FUZZ_CHECK(decode(fresh, format, coded, PLAIN_MAX, &same) == r);
	FUZZ_CHECK(sv_eq(buffer_sv(&plain), buffer_sv(&same)));
	coder_free(fresh);
	buffer_deinit(&plain);
	buffer_deinit(&same);
}

static void encode(unsigned format, struct sv plain, struct buffer *coded)
{
	struct blob *blob;

	if (format == FORMAT_MESSAGE) {
		assert_int_equal(coder_encode_message(used_coder, plain, coded), 0);
	} else {
		assert_int_equal(coder_encode(used_coder, (enum coding)format, plain, &blob), 0);
		assert_int_equal(buffer_append_sv(coded, blob_sv(blob)), 0);
		blob_unref(blob);
	}
}

static void check_encoded(unsigned format, struct sv text)
{
	struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

	if (text.n == 0) {
		return;
	}
	encode(format, text, &coded);
	assert_int_equal(decode(used_coder, format, buffer_sv(&coded), text.n, &plain), CODING_OK);
	FUZZ_CHECK(sv_eq(buffer_sv(&plain), text));
	buffer_deinit(&plain);
	assert_int_equal(decode(used_coder, format, buffer_sv(&coded), text.n - 1, &plain),
			 CODING_E_TOO_LARGE);
	buffer_deinit(&plain);
	if (format != FORMAT_MESSAGE) {
		FUZZ_CHECK(decode(used_coder, format, sv_first(buffer_sv(&coded), coded.n - 1),
				  text.n, &plain) != CODING_OK);
		buffer_deinit(&plain);
	}
	buffer_deinit(&coded);
}

static void check_headers(struct sv value)
{
	struct coding_wishes wishes = {0};

	FUZZ_CHECK(coding_add(CODING_IDENTITY, value) <= CODING_UNKNOWN);
	coding_wishes_add(&wishes, value);
	FUZZ_CHECK(coding_choose(&wishes, CODING_TEXT_MIN) < CODING_UNKNOWN);
	FUZZ_CHECK(coding_choose(&wishes, CODING_TEXT_MAX + 1) == CODING_IDENTITY);
}

void fuzz_one(struct sv input)
{
	unsigned decision = fuzz_byte(&input);
	unsigned format = CODING_GZIP + decision % (FORMATS - CODING_GZIP);

	if (!used_coder) {
		assert_int_equal(coder_new(&used_coder), 0);
	}
	if (decision & 0x80) {
		check_encoded(format, input);
	} else if (decision & 0x40) {
		check_headers(input);
	} else {
		check_decoded(format, input);
	}
}
