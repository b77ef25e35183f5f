/* SPDX-License-Identifier: MIT */
/*
 * ws/frames.h. The first byte decides whether messages may be coded, whether frames follow as
 * bytes or are made up (so that masks and lengths are right), and whether the pool has been used.
 * Whole or cut, with a used pool or a new one, the events are the same. No more is held than one
 * frame needs.
 *
 * covers: gateway/ws/frames.c gateway/ws/frame-head.c
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/gateway/ws/frames-case.h"

enum {
	/* frames.h promises 4.4 KB. */
	HELD_MAX = 6 * 1024,
};

struct setting {
	struct frames_pool *pool;
	bool may_code;
};

static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct setting *setting = userdata;
	struct buffer message = BUFFER_INIT;
	struct frames frames;
	struct sv piece;

	frames_init(&frames, setting->pool, setting->may_code);
	while (pieces_next(pieces, &piece)) {
		assert_int_equal(case_feed(&frames, piece, &message, log), 0);
		FUZZ_CHECK(frames_held(&frames) <= HELD_MAX);
		if (!frames.reader) {
			FUZZ_CHECK(frames_held(&frames) == 0);
		}
	}
	frames_deinit(&frames);
	buffer_deinit(&message);
}

/* Makes frames of the parts of @input: the first byte, and the payload up to the next zero. */
static struct buffer make_frames(struct sv input)
{
	struct buffer bytes = BUFFER_INIT;

	while (input.n) {
		unsigned first = fuzz_byte(&input);

		case_add(&bytes, first, fuzz_part(&input, '\0'));
	}
	return bytes;
}

void fuzz_one(struct sv input)
{
	unsigned decision = fuzz_byte(&input);
	struct setting setting = {.may_code = decision & 1};
	struct buffer bytes = BUFFER_INIT, used = BUFFER_INIT;

	assert_int_equal(frames_pool_new(&setting.pool), 0);
	if (decision & 2) {
		bytes = make_frames(input);
	} else {
		assert_int_equal(buffer_append_sv(&bytes, input), 0);
	}
	if (decision & 4) {
		/* Somebody else's, left in the middle. */
		fuzz_run(sv_first(buffer_sv(&bytes), bytes.n / 2), PIECES_RANDOM, run, &setting,
			 &used);
	}
	struct setting fresh = {.may_code = setting.may_code};
	struct buffer with_used = BUFFER_INIT, with_fresh = BUFFER_INIT;

	assert_int_equal(frames_pool_new(&fresh.pool), 0);
	fuzz_run(buffer_sv(&bytes), PIECES_WHOLE, run, &setting, &with_used);
	fuzz_run(buffer_sv(&bytes), PIECES_WHOLE, run, &fresh, &with_fresh);
	FUZZ_CHECK(sv_eq(buffer_sv(&with_used), buffer_sv(&with_fresh)));
	fuzz_check_cuts(buffer_sv(&bytes), run, &setting);
	frames_pool_free(setting.pool);
	frames_pool_free(fresh.pool);
	buffer_deinit(&bytes);
	buffer_deinit(&used);
	buffer_deinit(&with_used);
	buffer_deinit(&with_fresh);
}
