/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Encodes and decodes bodies in the content codings of HTTP (coding.h), and WebSocket messages (RFC
 * 7692), with zlib. An engine: bytes in, bytes out.
 *
 * plain  the text itself
 * coded  the text in a coding
 * coder  the state that one worker keeps for zlib, made when it is first needed: about 200 KB for
 *        encoding, 40 KB for decoding, and room for CODING_TEXT_MAX bytes when encoded
 */
#include "common/blob.h"
#include "common/buffer.h"
#include "gateway/http/coding.h"

enum coding_result {
	CODING_OK,
	CODING_E_CORRUPT,   /* invalid, truncated, or followed by garbage */
	CODING_E_TOO_LARGE, /* more text than allowed, or too many blocks for so little text */
};

enum {
	/* A block without text, of eleven bytes, can make zlib build tables for a microsecond. A
	 * request full of them would take forty times as long as one full of text. Allowed are so
	 * many blocks, and one more for each CODING_BLOCK_TEXT bytes of text. No encoder in use
	 * makes smaller blocks: zlib's smallest (memLevel 1) have 127 symbols. The members of a
	 * gzip file count, too. */
	CODING_BLOCKS_FREE = 64,
	CODING_BLOCK_TEXT = 64,
};

struct coder;

/* Returns 0 or -ENOMEM. */
_must_check_ int coder_new(struct coder **ret_coder);
struct coder *coder_free(struct coder *coder);

/* Encodes @plain, at most CODING_TEXT_MAX bytes, in gzip or deflate. The caller gets a reference to
 * *ret_coded. Returns 0 or -ENOMEM. */
_must_check_ int coder_encode(struct coder *coder, enum coding coding, struct sv plain,
			      struct blob **ret_coded);

/* Decodes @coded, which is gzip or deflate, into the empty *ret_plain: at most @n_max + 1 bytes, so
 * that a small request that would expand to gigabytes is stopped there. A gzip file may have
 * several members (RFC 1952, 2.2); their texts are joined, and the limits apply to all of them
 * together. Whatever the result, *ret_plain has the text so far, and the caller must deinitialise
 * it. Returns CODING_OK, CODING_E_* or -ENOMEM. */
_must_check_ int coder_decode(struct coder *coder, enum coding coding, struct sv coded,
			      size_t n_max, struct buffer *ret_plain);

/* WebSocket messages (RFC 7692, 7.2): bare deflate, each message on its own, without the four bytes
 * that a flush ends with. */

/* Appends @plain, of 1 to CODING_TEXT_MAX bytes, encoded. Returns 0 or -ENOMEM. */
_must_check_ int coder_encode_message(struct coder *coder, struct sv plain, struct buffer *coded);

/* Decodes a whole message as coder_decode() does. @coded is changed. */
_must_check_ int coder_decode_message(struct coder *coder, struct buffer *coded, size_t n_max,
				      struct buffer *ret_plain);
