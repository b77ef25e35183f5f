/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/coding-case.h"
#include "tests/unit/failmalloc.h"

/* Nothing of one answer is in the next: the same text is coded to the same bytes, whatever came between. */
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
			r = coder_decode(own, i % 2 ? CODING_DEFLATE : CODING_GZIP, blob_sv(coded), text->n, &plain);
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
	char *text = make_text(20000);

	(void)state;
	failmalloc_each(recovering_scenario, &(struct sv){text, 20000}, 25);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode_forgets),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_memory_recovers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
