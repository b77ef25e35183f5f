/* SPDX-License-Identifier: MIT */
#include "gateway/http/chunks.h"

#include "common/ascii.h"
#include "gateway/http/target.h"

/* A byte that is discarded. */
static enum chunks_state extra(struct chunks *chunks, enum chunks_state next)
{
	return ++chunks->n_extra > CHUNKS_EXTRA_MAX ? CHUNKS_BAD : next;
}

static enum chunks_state read_digit(struct chunks *chunks, int digit)
{
	bool is_zero_ahead = chunks->state == CHUNKS_DIGITS && chunks->n_left == 0;

	if (chunks->n_left > (uint64_t)INT64_MAX >> 4) {
		return CHUNKS_BAD;
	}
	chunks->n_left = chunks->n_left << 4 | (uint64_t)digit;
	return is_zero_ahead ? extra(chunks, CHUNKS_DIGITS) : CHUNKS_DIGITS;
}

/* In the line of a size. */
static enum chunks_state read_size(struct chunks *chunks, char c)
{
	int digit = ascii_hex_digit(c);
	bool is_digits = chunks->state == CHUNKS_SIZE || chunks->state == CHUNKS_DIGITS;

	if (is_digits && digit >= 0) {
		return read_digit(chunks, digit);
	}
	if (chunks->state == CHUNKS_SIZE) {
		return CHUNKS_BAD;
	}
	if (chunks->state == CHUNKS_EXTENSION) {
		return c == '\r'                            ? CHUNKS_SIZE_LF
		     : http_is_value_byte((unsigned char)c) ? extra(chunks, CHUNKS_EXTENSION)
							    : CHUNKS_BAD;
	}
	if (c == ';') {
		return extra(chunks, CHUNKS_EXTENSION);
	}
	if (c == ' ' || c == '\t') {
		return extra(chunks, CHUNKS_GAP);
	}
	return c == '\r' && chunks->state == CHUNKS_DIGITS ? CHUNKS_SIZE_LF : CHUNKS_BAD;
}

/* In a trailer, which is a header line (RFC 9112, 7.1.2). */
static enum chunks_state read_trailer(struct chunks *chunks, char c)
{
	if (c == '\r') {
		return chunks->state == CHUNKS_TRAILER ? CHUNKS_END_LF
		     : chunks->state == CHUNKS_VALUE   ? CHUNKS_TRAILER_LF
						       : CHUNKS_BAD;
	}
	if (chunks->state == CHUNKS_VALUE) {
		return http_is_value_byte((unsigned char)c) ? extra(chunks, CHUNKS_VALUE)
							    : CHUNKS_BAD;
	}
	if (c == ':' && chunks->state == CHUNKS_NAME) {
		return extra(chunks, CHUNKS_VALUE);
	}
	return http_is_token_byte((unsigned char)c) ? extra(chunks, CHUNKS_NAME) : CHUNKS_BAD;
}

static enum chunks_state step(struct chunks *chunks, char c)
{
	switch (chunks->state) {
	case CHUNKS_SIZE:
	case CHUNKS_DIGITS:
	case CHUNKS_GAP:
	case CHUNKS_EXTENSION:
		return read_size(chunks, c);
	case CHUNKS_SIZE_LF:
		return c != '\n' ? CHUNKS_BAD : chunks->n_left ? CHUNKS_DATA : CHUNKS_TRAILER;
	case CHUNKS_DATA_CR:
		return c == '\r' ? CHUNKS_DATA_LF : CHUNKS_BAD;
	case CHUNKS_DATA_LF:
		return c == '\n' ? CHUNKS_SIZE : CHUNKS_BAD;
	case CHUNKS_TRAILER:
	case CHUNKS_NAME:
	case CHUNKS_VALUE:
		return read_trailer(chunks, c);
	case CHUNKS_TRAILER_LF:
		return c == '\n' ? CHUNKS_TRAILER : CHUNKS_BAD;
	case CHUNKS_END_LF:
		return c == '\n' ? CHUNKS_END : CHUNKS_BAD;
	default:
		return chunks->state;
	}
}

enum chunks_result chunks_feed(struct chunks *chunks, struct sv *bytes, struct sv *ret_data)
{
	while (bytes->n && chunks->state != CHUNKS_END && chunks->state != CHUNKS_BAD) {
		if (chunks->state == CHUNKS_DATA) {
			size_t n = chunks->n_left < bytes->n ? (size_t)chunks->n_left : bytes->n;

			*ret_data = sv_first(*bytes, n);
			*bytes = sv_skip(*bytes, n);
			chunks->n_left -= n;
			chunks->state = chunks->n_left ? CHUNKS_DATA : CHUNKS_DATA_CR;
			return CHUNKS_FOUND;
		}
		chunks->state = step(chunks, bytes->data[0]);
		*bytes = sv_skip(*bytes, 1);
	}
	return chunks->state == CHUNKS_END ? CHUNKS_DONE
	     : chunks->state == CHUNKS_BAD ? CHUNKS_FAULT
					   : CHUNKS_MORE;
}
