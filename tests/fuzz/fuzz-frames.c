/* SPDX-License-Identifier: MIT */
/*
 * ws/frames.h. The first byte decides whether messages may be coded, and whether frames follow as
 * bytes or are made up (so that masks and lengths are right). Whole or cut, the events are the
 * same. Of a message nothing is held.
 *
 * covers: gateway/ws/frames.c gateway/ws/frame-head.c
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/gateway/ws/frames-case.h"

enum {
	/* A buffer's least size: frames.h promises 125 bytes. */
	HELD_MAX = 256,
};

static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const bool *may_code = userdata;
	struct buffer message = BUFFER_INIT;
	struct frames frames;
	struct sv piece;

	frames_init(&frames, *may_code);
	while (pieces_next(pieces, &piece)) {
		assert_int_equal(case_feed(&frames, piece, &message, log), 0);
		FUZZ_CHECK(frames_held(&frames) <= HELD_MAX && frames.partial.n <= FRAME_LENGTH_7);
		if (frames.is_in_frame && frames.opcode < FRAME_CLOSE) {
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
	bool may_code = decision & 1;
	struct buffer bytes = BUFFER_INIT;

	if (decision & 2) {
		bytes = make_frames(input);
	} else {
		assert_int_equal(buffer_append_sv(&bytes, input), 0);
	}
	fuzz_check_cuts(buffer_sv(&bytes), run, &may_code);
	buffer_deinit(&bytes);
}
