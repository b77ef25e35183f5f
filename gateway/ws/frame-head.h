/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The header of a WebSocket frame that the gateway sends (RFC 6455, 5.2): final, not masked.
 */
#include <stdbool.h>
#include <stddef.h>

enum frame_opcode {
	FRAME_CONTINUATION = 0,
	FRAME_TEXT = 1,
	FRAME_BINARY = 2,
	FRAME_CLOSE = 8,
	FRAME_PING = 9,
	FRAME_PONG = 10,
};

enum {
	/* The longest header, in bytes. */
	FRAME_HEAD_MAX = 10,
	/* The payload lengths, in bytes, above which the header has an extended length field of 2
	 * or 8 bytes. The first is also the most that a control frame may have (5.5). */
	FRAME_LENGTH_7 = 125,
	FRAME_LENGTH_16 = 65535,
};

struct frame_head {
	enum frame_opcode opcode;
	bool coded; /* the payload is compressed (RFC 7692) */
	size_t n_payload;
};

/* Writes the header. Returns its length in bytes. */
size_t frame_head_write(struct frame_head frame, unsigned char head[static FRAME_HEAD_MAX]);
