/* SPDX-License-Identifier: MIT */
#include "gateway/ws/frame-head.h"

size_t frame_head_write(size_t n_text, unsigned char head[static FRAME_HEAD_MAX])
{
	size_t n_length = n_text <= FRAME_LENGTH_7 ? 0 : n_text <= FRAME_LENGTH_16 ? 2 : 8;

	head[0] = 0x81;
	head[1] = (unsigned char)(n_length == 0 ? n_text : n_length == 2 ? 126 : 127);
	for (size_t i = 0; i < n_length; i++) {
		head[2 + i] = (unsigned char)(n_text >> 8 * (n_length - 1 - i));
	}
	return 2 + n_length;
}
