/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reads the WebSocket frames of a client (RFC 6455), as an engine: bytes in; pieces of messages,
 * control frames and mistakes out. libwslay's frame layer takes the frames apart and removes the
 * masks; the rules that it leaves to its user are kept here:
 *
 *     a frame that is not masked (5.1), a reserved bit, an opcode that is not defined (5.2), a
 *     continuation of nothing or a message within a message (5.4): 1002
 *     a close frame with one byte, or with a status that may not be sent (7.4): 1002
 *     text, or the reason of a close frame, that is not UTF-8 (8.1), as soon as it is seen: 1007
 *
 * libwslay itself finds control frames that are fragmented or over 125 bytes, and lengths that are
 * not in the shortest form or have the top bit set.
 *
 * piece    a part of a message: what has arrived of a frame. The parts of one message are joined by
 *          the caller, who also limits how long it may get
 * coded    a message whose pieces are compressed (RFC 7692); its text cannot be checked here
 * reader   what an incomplete frame needs: 4.4 KB, most of it libwslay's buffer. It belongs to a
 *          connection only while a frame is incomplete, and otherwise to the worker's pool. It goes
 *          back only with nothing in it, and is then as good as new
 *
 * Use: call frames_feed(), then frames_next() until it returns FRAMES_EVENT_NONE, then feed again.
 * An event, and what it points to, is valid until the next call. A pool and its users belong to one
 * thread.
 */
#include "common/sv.h"
#include "common/utf8.h"

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

struct frames_pool;
struct frames_reader;

/* Returns 0 or -ENOMEM. */
_must_check_ int frames_pool_new(struct frames_pool **ret_pool);
/* Call when none of its readers is in use. NULL is fine; returns NULL. */
struct frames_pool *frames_pool_free(struct frames_pool *pool);

struct frames {
	struct frames_pool *pool;
	struct frames_reader *reader; /* NULL between two frames */
	struct sv input;
	struct utf8 text;
	bool may_code;   /* compression was negotiated */
	bool in_message; /* a continuation must follow */
	bool is_text;    /* of the message */
	bool is_coded;
	bool is_over;
};

/* @pool is borrowed until frames_deinit(). @may_code: messages may be coded. */
void frames_init(struct frames *frames, struct frames_pool *pool, bool may_code);
/* May run twice. */
void frames_deinit(struct frames *frames);

/* Feeds @bytes, borrowed until frames_next() returns NONE. After the last event they are
 * ignored. */
void frames_feed(struct frames *frames, struct sv bytes);

/* Gets the next event. Returns 0 or -ENOMEM, after which no event follows. */
_must_check_ int frames_next(struct frames *frames, struct frames_event *ret_event);

/* Bytes of memory that are held for an incomplete frame. Valid after FRAMES_EVENT_NONE. */
size_t frames_held(const struct frames *frames);
