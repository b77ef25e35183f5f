/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gateway/ws/frames-case.h"

/* Connections share the pool of readers. Whatever one of them was fed, wherever it stopped, the
 * next one reports the same as over a pool of its own. */

enum {
	N_STEPS = 20000,
	N_OPEN = 4,
	N_FRAMES = 4,
};

static struct pieces generator;

static size_t pick(size_t n)
{
	return pieces_random(&generator, n);
}

/* Mostly valid frames, some with a mistake, some cut off. */
static void make_input(struct buffer *bytes)
{
	static const unsigned firsts[] = {FIN | FRAME_TEXT,
					  FIN | FRAME_TEXT,
					  FRAME_TEXT,
					  FIN,
					  0,
					  FIN | FRAME_PING,
					  FIN | FRAME_PONG,
					  FIN | FRAME_BINARY,
					  FIN | FRAME_TEXT,
					  FIN | FRAME_PING,
					  FIN | FRAME_CLOSE,
					  FIN | RSV1 | FRAME_TEXT,
					  FRAME_PING,
					  3};
	static char text[6000];

	memset(text, 'x', sizeof(text));
	for (size_t n = 1 + pick(N_FRAMES); n; n--) {
		unsigned first = firsts[pick(ARRAY_LENGTH(firsts))];
		size_t n_text = pick(8) ? pick(10) : pick(3) ? pick(130) : pick(sizeof(text));

		text[0] = (char)('a' + (int)pick(26));
		text[1] = pick(20) ? 'x' : '\xc3';
		case_add(bytes, first, (struct sv){text, n_text});
		if (pick(30) == 0) {
			/* No mask, or another length. */
			buffer_end(bytes)[-1] ^= 0x55;
		}
	}
	if (pick(3) == 0) {
		buffer_truncate(bytes, pick(bytes->n + 1));
	}
	if (bytes->n > 1 && pick(10) == 0) {
		bytes->data[bytes->offset + 1] ^= (char)(1 << pick(8));
	}
}

static void run_to_log(struct frames_pool *pool, struct sv input, unsigned way, struct buffer *log)
{
	struct pieces pieces = {.rest = input, .way = way, .random = way};

	case_run(pool, true, &pieces, log);
	pieces_end(&pieces);
}

/* Others that have begun something on the same pool. */
struct other {
	bool is_open;
	struct frames frames;
	struct buffer message, log;
};

static void leave(struct other *other)
{
	if (other->is_open) {
		frames_deinit(&other->frames);
		buffer_deinit(&other->message);
		buffer_deinit(&other->log);
		other->is_open = false;
	}
}

static void step_other(struct frames_pool *pool, struct other *other)
{
	struct buffer bytes = BUFFER_INIT;

	if (!other->is_open) {
		*other = (struct other){.is_open = true};
		frames_init(&other->frames, pool, pick(2));
	}
	make_input(&bytes);
	struct sv piece = buffer_sv(&bytes);

	if (pick(4)) {
		assert_int_equal(case_feed(&other->frames, piece, &other->message, &other->log), 0);
	} else {
		/* Fed, and left before all events were taken. */
		struct frames_event event;

		frames_feed(&other->frames, piece);
		assert_int_equal(frames_next(&other->frames, &event), 0);
		leave(other);
	}
	if (pick(8) == 0) {
		leave(other);
	}
	buffer_deinit(&bytes);
}

static void test_isolation(void **state)
{
	struct other others[N_OPEN] = {0};
	struct frames_pool *used;

	(void)state;
	generator.random = 20;
	assert_int_equal(frames_pool_new(&used), 0);
	for (size_t step = 0; step < N_STEPS; step++) {
		struct buffer input = BUFFER_INIT, said = BUFFER_INIT, expected = BUFFER_INIT;
		unsigned way = (unsigned)pick(PIECES_WAYS);
		struct frames_pool *fresh;

		step_other(used, &others[pick(N_OPEN)]);
		make_input(&input);
		assert_int_equal(frames_pool_new(&fresh), 0);
		run_to_log(used, buffer_sv(&input), way, &said);
		run_to_log(fresh, buffer_sv(&input), way, &expected);
		frames_pool_free(fresh);
		if (!sv_eq(buffer_sv(&said), buffer_sv(&expected))) {
			fail_msg("step %zu, way %u: gave\n%.*s\nover a fresh pool\n%.*s", step, way,
				 SV_ARGS(buffer_sv(&said)), SV_ARGS(buffer_sv(&expected)));
		}
		buffer_deinit(&input);
		buffer_deinit(&said);
		buffer_deinit(&expected);
	}
	for (size_t i = 0; i < N_OPEN; i++) {
		leave(&others[i]);
	}
	frames_pool_free(used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_isolation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
