/* SPDX-License-Identifier: MIT */
/* The frames that wait for a client: which were sent, and the texts of the others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/ws/frame-head.h"
#include "gateway/ws/unsent.h"
#include "tests/unit/failmalloc.h"

enum {
	/* One more than fits into the lengths of 7 and of 16 bits. */
	N_MEDIUM = FRAME_LENGTH_7 + 1,
	N_LARGE = FRAME_LENGTH_16 + 1,
};

static char letters[N_LARGE];

static void add(struct buffer *queue, enum frame_opcode opcode, bool coded, struct sv payload)
{
	const struct frame_head frame = {
		.opcode = opcode, .is_coded = coded, .n_payload = payload.n};
	unsigned char head[FRAME_HEAD_MAX];

	assert_int_equal(buffer_append(queue, head, frame_head_write(frame, head)), 0);
	assert_int_equal(buffer_append_sv(queue, payload), 0);
}

/* For each number of bytes that may have been sent, in queues of frames of all lengths. */
static void test_lengths(void **state)
{
	static const size_t lengths[] = {3, 0, N_MEDIUM, 1, N_LARGE};
	size_t ends[ARRAY_LENGTH(lengths) + 1] = {0};
	struct buffer queue = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		add(&queue, FRAME_TEXT, false, (struct sv){letters, lengths[i]});
		ends[i + 1] = queue.n;
	}
	for (size_t n = 0, i = 0; n <= queue.n; n++) {
		i += i + 1 < ARRAY_LENGTH(ends) && n == ends[i + 1];
		assert_int_equal(unsent_whole(buffer_sv(&queue), n), ends[i]);
		assert_int_equal(unsent_begun(buffer_sv(&queue), n),
				 n == ends[i] ? n : ends[i + 1]);
	}
	buffer_deinit(&queue);
	assert_int_equal(unsent_whole(SV_EMPTY, 0), 0);
	assert_int_equal(unsent_begun(SV_EMPTY, 0), 0);
}

/* A queue with messages of all kinds, between control frames. */
static void fill(struct buffer *queue, struct coder *coder)
{
	struct buffer coded = BUFFER_INIT;

	assert_int_equal(coder_encode_message(coder, (struct sv){letters, N_LARGE}, &coded), 0);
	add(queue, FRAME_PING, false, SV("ping"));
	add(queue, FRAME_TEXT, false, SV("<a/>"));
	add(queue, FRAME_TEXT, true, buffer_sv(&coded));
	add(queue, FRAME_PONG, false, SV("pong"));
	add(queue, FRAME_TEXT, false, (struct sv){letters, N_MEDIUM});
	add(queue, FRAME_TEXT, false, SV("<b/>"));
	buffer_deinit(&coded);
}

static void test_texts(void **state)
{
	struct buffer queue = BUFFER_INIT, texts = BUFFER_INIT;
	struct coder *coder;

	(void)state;
	assert_int_equal(coder_new(&coder), 0);
	fill(&queue, coder);
	assert_int_equal(unsent_texts(buffer_sv(&queue), coder, &texts), 0);
	struct sv rest = buffer_sv(&texts);

	assert_int_equal(rest.n, 4 + N_LARGE + N_MEDIUM + 4);
	assert_memory_equal(rest.data, "<a/>", 4);
	assert_memory_equal(rest.data + 4, letters, N_LARGE);
	assert_memory_equal(rest.data + 4 + N_LARGE, letters, N_MEDIUM);
	assert_memory_equal(rest.data + rest.n - 4, "<b/>", 4);
	buffer_deinit(&queue);
	buffer_deinit(&texts);
	coder_free(coder);
	assert_int_equal(unsent_texts(SV_EMPTY, NULL, &texts), 0);
	assert_int_equal(texts.n, 0);
}

struct scene {
	struct buffer queue;
	struct coder *coder;
};

static int take_texts(void *userdata)
{
	struct scene *scene = userdata;
	_cleanup_(buffer_deinit) struct buffer texts = BUFFER_INIT;

	return unsent_texts(buffer_sv(&scene->queue), scene->coder, &texts);
}

static void test_memory(void **state)
{
	struct scene scene = {0};

	(void)state;
	assert_int_equal(coder_new(&scene.coder), 0);
	fill(&scene.queue, scene.coder);
	/* The coder keeps what it has allocated for itself. */
	assert_int_equal(take_texts(&scene), 0);
	failmalloc_each(take_texts, &scene, 4);
	buffer_deinit(&scene.queue);
	coder_free(scene.coder);
}

/* Without memory for one message, that one is missing, and no other. */
static void test_one_missing(void **state)
{
	static const size_t n_all = 4 + N_LARGE + N_MEDIUM + 4;
	struct scene scene = {0};
	size_t n_failed = 1, n_rounds = 0;

	(void)state;
	assert_int_equal(coder_new(&scene.coder), 0);
	fill(&scene.queue, scene.coder);
	assert_int_equal(take_texts(&scene), 0);
	for (size_t n = 1; n_failed; n++) {
		struct buffer texts = BUFFER_INIT;

		failmalloc_arm(n, false);
		int r = unsent_texts(buffer_sv(&scene.queue), scene.coder, &texts);

		n_failed = failmalloc_disarm();
		size_t n_missing = n_all - texts.n;

		assert_int_equal(r, n_failed ? -ENOMEM : 0);
		assert_true(n_failed ? n_missing == 4 || n_missing == N_LARGE ||
					       n_missing == N_MEDIUM
				     : n_missing == 0);
		n_rounds += n_failed;
		buffer_deinit(&texts);
	}
	assert_true(n_rounds >= 4);
	buffer_deinit(&scene.queue);
	coder_free(scene.coder);
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(letters); i++) {
		letters[i] = (char)('a' + i % 26);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_one_missing),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
