/* SPDX-License-Identifier: MIT */
#include "gateway/ws/frame-head.h"

enum {
	FRAME_FIN = 0x80,
	FRAME_RSV1 = 0x40,
};

size_t frame_head_write(struct frame_head frame, unsigned char head[static FRAME_HEAD_MAX])
{
	size_t n = frame.n_payload;
	size_t n_length = n <= FRAME_LENGTH_7 ? 0 : n <= FRAME_LENGTH_16 ? 2 : 8;

	head[0] = (unsigned char)(FRAME_FIN | (frame.coded ? FRAME_RSV1 : 0) | frame.opcode);
	head[1] = (unsigned char)(n_length == 0 ? n : n_length == 2 ? 126 : 127);
	for (size_t i = 0; i < n_length; i++) {
		head[2 + i] = (unsigned char)(n >> 8 * (n_length - 1 - i));
	}
	return 2 + n_length;
}
