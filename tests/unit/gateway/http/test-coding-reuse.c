/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/common/wiped.h"
#include "tests/unit/gateway/http/coding-case.h"
#include "tests/unit/failmalloc.h"

/* Nothing of one answer is in the next: the same text is coded to the same bytes, whatever came
 * between. */
static void test_encode_forgets(void **state)
{
	char *text = make_text(5000);
	struct sv view = {text, 5000};
	struct blob *first, *other, *second;

	(void)state;
	assert_int_equal(coder_encode(coder, CODING_GZIP, view, &first), 0);
	assert_int_equal(coder_encode(coder, CODING_GZIP, sv_skip(view, 1000), &other), 0);
	assert_int_equal(coder_encode(coder, CODING_GZIP, view, &second), 0);
	assert_int_equal(first->n, second->n);
	assert_memory_equal(first->data, second->data, first->n);
	blob_unref(first);
	blob_unref(other);
	blob_unref(second);
	free(text);
}

/* The last text is in the windows of zlib: they are wiped before they are freed. */
static void test_wiped(void **state)
{
	char *text = make_text(5000);
	struct buffer plain = BUFFER_INIT;
	struct coder *own;
	struct blob *coded;

	(void)state;
	assert_int_equal(coder_new(&own), 0);
	assert_int_equal(coder_encode(own, CODING_GZIP, (struct sv){text, 5000}, &coded), 0);
	assert_int_equal(coder_decode(own, CODING_GZIP, blob_sv(coded), 5000, &plain), CODING_OK);
	buffer_deinit(&plain);
	blob_unref(coded);
	n_wiped_most = 0;
	coder_free(own);
	assert_true(n_wiped_most >= 1 << MAX_WBITS);
	free(text);
}

/* Both ways, each state made and used again, with any of the allocations failing. */
static int scenario(void *userdata)
{
	const struct sv *text = userdata;
	struct coder *own = NULL;
	int r = coder_new(&own);

	for (int i = 0; i < 4 && r == 0; i++) {
		enum coding coding = i / 2 % 2 ? CODING_DEFLATE : CODING_GZIP;
		struct buffer plain = BUFFER_INIT;
		struct blob *coded;

		r = coder_encode(own, coding, *text, &coded);
		if (r < 0) {
			break;
		}
		r = coder_decode(own, coding, blob_sv(coded), text->n, &plain);
		if (r == CODING_OK && !sv_eq(buffer_sv(&plain), *text)) {
			r = CODING_COUNT;
		}
		buffer_deinit(&plain);
		blob_unref(coded);
	}
	coder_free(own);
	return r;
}

static void test_memory(void **state)
{
	char *text = make_text(20000);

	(void)state;
	failmalloc_each(scenario, &(struct sv){text, 20000}, 25);
	free(text);
}

/* A coder goes on after it had no memory. */
static int recovering_scenario(void *userdata)
{
	const struct sv *text = userdata;
	struct coder *own;
	int r = coder_new(&own);

	if (r < 0) {
		return r;
	}
	for (int i = 0; i < 12; i++) {
		struct buffer plain = BUFFER_INIT;
		struct blob *coded;

		r = coder_encode(own, i % 2 ? CODING_DEFLATE : CODING_GZIP, *text, &coded);
		if (r == 0) {
			r = coder_decode(own, i % 2 ? CODING_DEFLATE : CODING_GZIP, blob_sv(coded),
					 text->n, &plain);
			if (r == CODING_OK && !sv_eq(buffer_sv(&plain), *text)) {
				r = CODING_COUNT;
			}
			buffer_deinit(&plain);
			blob_unref(coded);
		}
		if (r > 0) {
			break;
		}
	}
	coder_free(own);
	return r;
}

static void test_memory_recovers(void **state)
{
	char *text = make_text(5000);

	(void)state;
	failmalloc_each(recovering_scenario, &(struct sv){text, 5000}, 25);
	free(text);
}

/* What clients send, well or badly coded. */
struct input {
	enum coding coding;
	struct buffer coded;
	size_t n_max;
};

enum {
	N_TEXT = 6000,
	N_INPUTS = 14,
};

/* A bare deflate stream that copies from text before its beginning: a decoder that kept the last
 * client's text in its window would give it away. */
static void code_with_past(struct sv past, struct sv text, struct buffer *coded)
{
	z_stream stream = {0};

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, RAW, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflateSetDictionary(&stream, (const Bytef *)past.data, (uInt)past.n),
			 Z_OK);
	assert_int_equal(buffer_reserve(coded, text.n + 1000), 0);
	stream.next_in = (const Bytef *)text.data;
	stream.avail_in = (uInt)text.n;
	stream.next_out = (Bytef *)buffer_end(coded);
	stream.avail_out = (uInt)(text.n + 1000);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	coded->n = stream.total_out;
	deflateEnd(&stream);
	/* It is made of copies. */
	assert_true(coded->n < text.n / 10);
}

static void make_inputs(struct sv text, struct input inputs[static N_INPUTS])
{
	size_t n = 0;

	for (size_t f = 0; f < ARRAY_LENGTH(formats); f++) {
		/* Good, cut off, with something behind it, and longer than it may be. */
		for (size_t kind = 0; kind < 4; kind++) {
			inputs[n] = (struct input){.coding = coding_of(formats[f]),
						   .n_max = kind == 3 ? N_TEXT / 2 : N_TEXT};
			code(formats[f], text, &inputs[n].coded);
			if (kind == 1) {
				inputs[n].coded.n /= 2;
			} else if (kind == 2) {
				assert_int_equal(
					buffer_append_sv(&inputs[n].coded, SV("\x1f\x8b\x08")), 0);
			}
			n++;
		}
	}
	inputs[n] = (struct input){.coding = CODING_DEFLATE, .n_max = N_TEXT};
	code_with_past(text, text, &inputs[n++].coded);
	inputs[n] = (struct input){.coding = CODING_GZIP, .n_max = N_TEXT};
	assert_int_equal(buffer_append_sv(&inputs[n++].coded, SV("no gzip")), 0);
	assert_int_equal(n, N_INPUTS);
}

static int run_input(struct coder *over, const struct input *input, struct buffer *plain)
{
	return coder_decode(over, input->coding, buffer_sv(&input->coded), input->n_max, plain);
}

/* Decodes and encodes: @used comes to the same as a fresh coder. */
static void compare(struct coder *used, const struct input *input, struct sv text)
{
	struct buffer plain = BUFFER_INIT, expected_plain = BUFFER_INIT;
	enum coding coding = text.n % 2 ? CODING_GZIP : CODING_DEFLATE;
	struct blob *coded, *expected_coded;
	struct coder *fresh;

	assert_int_equal(coder_new(&fresh), 0);
	assert_int_equal(run_input(used, input, &plain), run_input(fresh, input, &expected_plain));
	assert_true(sv_eq(buffer_sv(&plain), buffer_sv(&expected_plain)));
	assert_int_equal(coder_encode(used, coding, text, &coded), 0);
	assert_int_equal(coder_encode(fresh, coding, text, &expected_coded), 0);
	assert_true(sv_eq(blob_sv(coded), blob_sv(expected_coded)));
	blob_unref(coded);
	blob_unref(expected_coded);
	buffer_deinit(&plain);
	buffer_deinit(&expected_plain);
	coder_free(fresh);
}

/* Both ways with allocation @n failing. Returns how many failed. */
static size_t use_without_memory(struct coder *used, const struct input *input, struct sv text,
				 size_t n)
{
	struct buffer plain = BUFFER_INIT;
	struct blob *coded = NULL;

	failmalloc_arm(n, n % 2);
	if (coder_encode(used, n % 3 ? CODING_GZIP : CODING_DEFLATE, text, &coded) == 0) {
		blob_unref(coded);
	}
	(void)run_input(used, input, &plain);
	size_t n_failed = failmalloc_disarm();

	buffer_deinit(&plain);
	return n_failed;
}

/* Whatever one client sent or was sent, and whatever came of it, makes no difference to the
 * next. */
static void test_isolation(void **state)
{
	char *bytes = make_text(N_TEXT);
	struct sv text = {bytes, N_TEXT};
	struct input inputs[N_INPUTS] = {0};

	(void)state;
	make_inputs(text, inputs);
	for (size_t i = 0; i < N_INPUTS * N_INPUTS; i++) {
		struct buffer plain = BUFFER_INIT;

		(void)run_input(coder, &inputs[i / N_INPUTS], &plain);
		buffer_deinit(&plain);
		compare(coder, &inputs[i % N_INPUTS], sv_skip(text, i));
	}
	for (size_t i = 0; i < N_INPUTS; i++) {
		size_t n_failed = 1;

		for (size_t n = 1; n_failed; n++) {
			struct coder *own;

			assert_int_equal(coder_new(&own), 0);
			n_failed = use_without_memory(own, &inputs[i], text, n);
			compare(own, &inputs[(i + n) % N_INPUTS], sv_skip(text, n));
			coder_free(own);
		}
		buffer_deinit(&inputs[i].coded);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode_forgets), cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_memory),         cmocka_unit_test(test_memory_recovers),
		cmocka_unit_test(test_isolation),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
