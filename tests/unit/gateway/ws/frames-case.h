/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Frames as a client sends them, and what the engine reports about them as a text. Included after
 * cmocka.h.
 *
 * The text of a message is reported at its end, so that the report does not depend on where the
 * bytes were cut.
 */
#include "gateway/ws/frame-head.h"
#include "gateway/ws/frames.h"
#include "tests/unit/pieces.h"

enum {
	FIN = 0x80,
	RSV1 = 0x40,
	RSV2 = 0x20,
	RSV3 = 0x10,
	CASE_FRAMES_MAX = 8,
};

struct case_frame {
	unsigned first; /* the first byte */
	struct sv payload;
};

/* Appends a masked frame. The key changes with each, and is never all zeros. */
static inline void case_add(struct buffer *bytes, unsigned first, struct sv payload)
{
	unsigned char head[FRAME_HEAD_MAX];
	const struct frame_head frame = {.n_payload = payload.n};
	size_t n_head = frame_head_write(frame, head);
	unsigned char key[4] = {(unsigned char)(bytes->n * 37 + 1), 0x5a, 0xff,
				(unsigned char)first};

	head[0] = (unsigned char)first;
	head[1] |= 0x80;
	assert_int_equal(buffer_append(bytes, head, n_head), 0);
	assert_int_equal(buffer_append(bytes, key, sizeof(key)), 0);
	for (size_t i = 0; i < payload.n; i++) {
		char c = (char)(payload.data[i] ^ key[i % 4]);

		assert_int_equal(buffer_append(bytes, &c, 1), 0);
	}
}

static inline void case_log_event(const struct frames_event *event, struct buffer *message,
				  struct buffer *log)
{
	switch (event->kind) {
	case FRAMES_EVENT_PIECE:
		assert_int_equal(buffer_append_sv(message, event->data), 0);
		if (event->is_final) {
			LOG(log, "%s%s %.*s\n", event->is_coded ? "coded " : "",
			    event->is_text ? "text" : "binary", SV_ARGS(buffer_sv(message)));
			buffer_deinit(message);
		}
		break;
	case FRAMES_EVENT_PING:
		LOG(log, "ping %.*s\n", SV_ARGS(event->data));
		break;
	case FRAMES_EVENT_PONG:
		LOG(log, "pong %.*s\n", SV_ARGS(event->data));
		break;
	case FRAMES_EVENT_CLOSE:
		LOG(log, "close %u %.*s\n", event->status, SV_ARGS(event->data));
		break;
	case FRAMES_EVENT_BAD:
		LOG(log, "bad %u\n", event->status);
		assert_true(event->mistake && event->mistake[0]);
		break;
	case FRAMES_EVENT_NONE:
		break;
	}
}

/* Feeds one piece and logs what comes of it. Returns the result of the engine. */
static inline int case_feed(struct frames *frames, struct sv piece, struct buffer *message,
			    struct buffer *log)
{
	struct frames_event event;
	char *copy = malloc(piece.n ? piece.n : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, piece.data, piece.n);
	frames_feed(frames, copy, piece.n);
	do {
		r = frames_next(frames, &event);
		if (r == 0) {
			case_log_event(&event, message, log);
		}
	} while (r == 0 && event.kind != FRAMES_EVENT_NONE);
	free(copy);
	return r;
}

/* Feeds all pieces to a connection. */
static inline void case_run(bool may_code, struct pieces *pieces, struct buffer *log)
{
	struct buffer message = BUFFER_INIT;
	struct frames frames;
	struct sv piece;

	frames_init(&frames, may_code);
	while (pieces_next(pieces, &piece)) {
		assert_int_equal(case_feed(&frames, piece, &message, log), 0);
	}
	frames_deinit(&frames);
	buffer_deinit(&message);
}
