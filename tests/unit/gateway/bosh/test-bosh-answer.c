/* SPDX-License-Identifier: MIT */
/* Answers with large payloads, whose memory they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "gateway/bosh/answer.h"
#include "tests/unit/failmalloc.h"

enum {
	N_LARGE = 16 * 1024,
};

#define START "<body xmlns='http://jabber.org/protocol/httpbind'"

struct answer_case {
	size_t n, n_room; /* of the payloads, and before them */
	uint64_t ack;
	bool is_taken;
};

/* Fills @pending exactly up to its end, less @n_behind. */
static void fill(struct buffer *pending, size_t n_room, size_t n, size_t n_behind)
{
	assert_int_equal(buffer_reserve_around(pending, n_room, n), 0);
	memset(buffer_end(pending), 'x', n);
	pending->n = n;
	pending->size = pending->offset + n + n_behind;
}

static void check(const struct answer_case *one, size_t n_behind, bool is_taken)
{
	struct buffer pending = BUFFER_INIT;
	struct sv payloads;
	struct blob *blob, *copy;

	fill(&pending, one->n_room, one->n, n_behind);
	const struct bosh_answer answer = {.ack = one->ack, .payloads = buffer_sv(&pending)};

	assert_int_equal(bosh_answer_write(&answer, &copy, &payloads), 0);
	assert_int_equal(bosh_answer_write_taking(&answer, &pending, &blob, &payloads), 0);
	assert_int_equal(pending.n == 0, is_taken);
	assert_true(sv_eq(blob_sv(blob), blob_sv(copy)));
	buffer_deinit(&pending);
	assert_int_equal(payloads.n, one->n);
	assert_in_range(payloads.data - blob->data, sizeof(START ">") - 1, blob->n - one->n);
	assert_int_equal(payloads.data[one->n - 1], 'x');
	blob_unref(blob);
	blob_unref(copy);
}

static void test_taking(void **state)
{
	enum {
		N_HEAD = sizeof(START ">") - 1,
		N_ACK = sizeof(" ack='7'") - 1,
		N_END = sizeof("</body>") - 1,
	};
	static const struct answer_case cases[] = {
		{N_LARGE, N_HEAD, 0, true},
		{N_LARGE - 1, N_HEAD, 0, false},
		{N_LARGE, N_HEAD - 1, 0, false},
		{N_LARGE, N_HEAD + N_ACK, 7, true},
		{N_LARGE, N_HEAD + N_ACK - 1, 7, false},
		/* That room would be kept, too. */
		{N_LARGE, N_LARGE / 8, 0, true},
		{N_LARGE, N_LARGE / 8 + 1, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		check(&cases[i], N_END, cases[i].is_taken);
		check(&cases[i], N_END - 1, false);
	}
}

/* Without memory, what is pending stays as it is. */
static void test_no_memory(void **state)
{
	struct buffer pending = BUFFER_INIT;
	struct sv payloads;
	struct blob *blob;

	(void)state;
	fill(&pending, 100, N_LARGE, 100);
	const struct bosh_answer answer = {.payloads = buffer_sv(&pending)};
	struct buffer before = pending;

	failmalloc_arm(1, false);
	int r = bosh_answer_write_taking(&answer, &pending, &blob, &payloads);

	failmalloc_disarm();
	assert_int_equal(r, -ENOMEM);
	assert_memory_equal(&pending, &before, sizeof(before));
	assert_int_equal(buffer_sv(&pending).data[0], 'x');
	buffer_deinit(&pending);
}

static void test_nothing(void **state)
{
	struct sv payloads;
	struct blob *blob;

	(void)state;
	assert_int_equal(bosh_answer_write_taking(&(struct bosh_answer){0}, NULL, &blob, &payloads),
			 0);
	assert_true(sv_eq(blob_sv(blob), SV(START "/>")));
	assert_int_equal(payloads.n, 0);
	blob_unref(blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taking),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
