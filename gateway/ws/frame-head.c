/* SPDX-License-Identifier: MIT */
#include "gateway/ws/frame-head.h"

enum {
	FRAME_FIN = 0x80,
	FRAME_RSV1 = 0x40,
	FRAME_RSV2_RSV3 = 0x30,
	FRAME_OPCODE = 0x0f,
	FRAME_MASK = 0x80,
	LENGTH_16 = 126, /* instead of the length: it follows in 2 bytes */
	LENGTH_64 = 127, /* in 8 */
};

size_t frame_head_write(struct frame_head frame, unsigned char head[static FRAME_HEAD_MAX])
{
	uint64_t n = frame.n_payload; /* shifted by more bits than a size_t may have */
	size_t n_length = n <= FRAME_LENGTH_7 ? 0 : n <= FRAME_LENGTH_16 ? 2 : 8;

	head[0] = (unsigned char)(FRAME_FIN | (frame.is_coded ? FRAME_RSV1 : 0) | frame.opcode);
	head[1] = (unsigned char)(n_length == 0 ? n : n_length == 2 ? LENGTH_16 : LENGTH_64);
	for (size_t i = 0; i < n_length; i++) {
		head[2 + i] = (unsigned char)(n >> 8 * (n_length - 1 - i));
	}
	return 2 + n_length;
}

size_t frame_header_read(struct sv bytes, struct frame_header *ret_header)
{
	const unsigned char *at = (const unsigned char *)bytes.data;

	if (bytes.n < 2) {
		return 0;
	}
	bool is_masked = at[1] & FRAME_MASK;
	uint64_t n_payload = at[1] & ~FRAME_MASK;
	size_t n_length = n_payload == LENGTH_16 ? 2 : n_payload == LENGTH_64 ? 8 : 0;
	size_t n_least = n_length == 2 ? FRAME_LENGTH_7 + 1
		       : n_length == 8 ? FRAME_LENGTH_16 + 1
				       : 0;
	size_t n = 2 + n_length + (is_masked ? FRAME_MASK_SIZE : 0);

	if (bytes.n < n) {
		return 0;
	}
	for (size_t i = 0; i < n_length; i++) {
		n_payload = (i ? n_payload << 8 : 0) | at[2 + i];
	}
	*ret_header = (struct frame_header){
		.opcode = at[0] & FRAME_OPCODE,
		.is_final = at[0] & FRAME_FIN,
		.is_coded = at[0] & FRAME_RSV1,
		.is_reserved = at[0] & FRAME_RSV2_RSV3,
		.is_masked = is_masked,
		.is_shortest = n_payload >= n_least,
		.n_payload = n_payload,
	};
	if (is_masked) {
		memcpy(ret_header->mask, at + 2 + n_length, FRAME_MASK_SIZE);
	}
	return n;
}

void frame_unmask(unsigned char mask[static FRAME_MASK_SIZE], char *payload, size_t n)
{
	unsigned char turned[2 * FRAME_MASK_SIZE];
	uint64_t both, eight;
	size_t i = 0;

	memcpy(turned, mask, FRAME_MASK_SIZE);
	memcpy(turned + FRAME_MASK_SIZE, mask, FRAME_MASK_SIZE);
	memcpy(&both, turned, sizeof(both));
	for (; n - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, payload + i, sizeof(eight));
		eight ^= both;
		memcpy(payload + i, &eight, sizeof(eight));
	}
	for (; i < n; i++) {
		payload[i] ^= (char)mask[i % FRAME_MASK_SIZE];
	}
	memcpy(mask, turned + n % FRAME_MASK_SIZE, FRAME_MASK_SIZE);
}
