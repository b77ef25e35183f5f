/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The header of a WebSocket frame that the gateway sends (RFC 6455, 5.2): final, text, not masked.
 */
#include <stddef.h>

enum {
	/* The longest header, in bytes. */
	FRAME_HEAD_MAX = 10,
	/* The payload lengths, in bytes, above which the header has an extended length field of 2
	 * or 8 bytes. */
	FRAME_LENGTH_7 = 125,
	FRAME_LENGTH_16 = 65535,
};

/* Writes the header of a frame with @n_text bytes. Returns its length in bytes. */
size_t frame_head_write(size_t n_text, unsigned char head[static FRAME_HEAD_MAX]);
