/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The header of a WebSocket frame (RFC 6455, 5.2): one that the gateway sends, which is final and
 * not masked, and one of a client. And the mask of a client's payload (5.3).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

enum frame_opcode {
	FRAME_CONTINUATION = 0,
	FRAME_TEXT = 1,
	FRAME_BINARY = 2,
	FRAME_CLOSE = 8,
	FRAME_PING = 9,
	FRAME_PONG = 10,
};

enum {
	/* The longest header that the gateway sends, in bytes. */
	FRAME_HEAD_MAX = 10,
	FRAME_MASK_SIZE = 4,
	/* The payload lengths, in bytes, above which the header has an extended length field of 2
	 * or 8 bytes. The first is also the most that a control frame may have (5.5). */
	FRAME_LENGTH_7 = 125,
	FRAME_LENGTH_16 = 65535,
};

struct frame_head {
	enum frame_opcode opcode;
	bool is_coded; /* the payload is compressed (RFC 7692) */
	size_t n_payload;
};

/* Writes the header. Returns its length in bytes. */
size_t frame_head_write(struct frame_head frame, unsigned char head[static FRAME_HEAD_MAX]);

/* A header as it was received: nothing is checked. */
struct frame_header {
	unsigned opcode; /* any of 16 */
	bool is_final;
	bool is_coded;    /* RSV1 */
	bool is_reserved; /* RSV2 or RSV3 */
	bool is_masked;
	bool is_shortest; /* the form of the length */
	uint64_t n_payload;
	unsigned char mask[FRAME_MASK_SIZE]; /* if there is one */
};

/* Reads the header that @bytes begin with. Returns its length in bytes; 0: it is incomplete. */
size_t frame_header_read(struct sv bytes, struct frame_header *ret_header);

/* Removes @mask from the next @n bytes of a payload, and turns it for those that follow. */
void frame_unmask(unsigned char mask[static FRAME_MASK_SIZE], char *payload, size_t n);
