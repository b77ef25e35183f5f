/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reads the WebSocket frames of a client (RFC 6455), as an engine: bytes in; pieces of messages,
 * control frames and mistakes out. The rules:
 *
 *     a frame that is not masked (5.1), a reserved bit, an opcode that is not defined, a length
 *     that is not in the shortest form or has the top bit set (5.2), a continuation of nothing or a
 *     message within a message (5.4), a control frame that is fragmented or over 125 bytes
 *     (5.5): 1002
 *     a close frame with one byte, or with a status that may not be sent (7.4): 1002
 *     text, or the reason of a close frame, that is not UTF-8 (8.1), as soon as it is seen: 1007
 *
 * piece    a part of a message: what has arrived of a frame. The parts of one message are joined by
 *          the caller, who also limits how long it may get
 * coded    a message whose pieces are compressed (RFC 7692); its text cannot be checked here
 * partial  what has arrived of a header or of a control frame, at most 125 bytes. Nothing is kept
 *          of a message: its pieces stand where its bytes were fed, without the mask
 *
 * Use: call frames_feed(), then frames_next() until it returns FRAMES_EVENT_NONE, then feed again.
 * An event, and what it points to, is valid until the next call.
 */
#include "common/buffer.h"
#include "common/sv.h"
#include "common/utf8.h"
#include "gateway/ws/frame-head.h"

enum frames_event_kind {
	FRAMES_EVENT_NONE,
	FRAMES_EVENT_PIECE, /* sets data, is_final, is_text, is_coded */
	FRAMES_EVENT_PING,  /* sets data */
	FRAMES_EVENT_PONG,  /* sets data */
	FRAMES_EVENT_CLOSE, /* the client's: sets status, data (the reason). Last event */
	FRAMES_EVENT_BAD,   /* sets status, to be sent, and mistake. Last event */
};

/* RFC 6455, 7.4.1. */
enum frames_status {
	FRAMES_STATUS_PROTOCOL = 1002,
	FRAMES_STATUS_NONE = 1005, /* the close frame has none; never sent */
	FRAMES_STATUS_TEXT = 1007,
};

struct frames_event {
	enum frames_event_kind kind;
	struct sv data;
	bool is_final; /* the last piece of its message, which may be empty */
	bool is_text;
	bool is_coded;
	unsigned status;
	const char *mistake; /* which rule the client broke, in words; static */
};

struct frames {
	char *input; /* what is fed and not read */
	size_t n_input;
	struct buffer partial;
	uint64_t n_left; /* of the payload of the current frame */
	struct utf8 text;
	uint8_t opcode; /* of the current frame */
	unsigned char mask[FRAME_MASK_SIZE];
	bool may_code : 1;      /* compression was negotiated */
	bool is_in_frame : 1;   /* the header was read, the end of the payload was not */
	bool is_final : 1;      /* of the current frame */
	bool is_told : 1;       /* the last event points to `partial` */
	bool is_in_message : 1; /* a continuation must follow */
	bool is_text : 1;       /* of the message */
	bool is_coded : 1;
	bool is_over : 1;
};

/* @may_code: messages may be coded. */
void frames_init(struct frames *frames, bool may_code);
/* May run twice. */
void frames_deinit(struct frames *frames);

/* Feeds the @n @bytes, borrowed until frames_next() returns NONE, and changed: masks are removed in
 * their place. After the last event they are ignored. */
void frames_feed(struct frames *frames, char *bytes, size_t n);

/* Gets the next event. Returns 0 or -ENOMEM, after which no event follows. */
_must_check_ int frames_next(struct frames *frames, struct frames_event *ret_event);

/* Bytes of memory that are held for an incomplete frame. Valid after FRAMES_EVENT_NONE. */
size_t frames_held(const struct frames *frames);
