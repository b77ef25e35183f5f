/* SPDX-License-Identifier: MIT */
/*
 * wire/hello.h. The input is what a client sends. In pieces it is read as at once, and as by a
 * reader that first joins the records and then takes the messages apart.
 *
 * covers: gateway/wire/hello.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/wire/hello.h"

enum {
	HANDSHAKE = 22,
};

static unsigned byte_at(struct sv bytes, size_t at)
{
	return (unsigned char)bytes.data[at];
}

/* The payloads of the handshake's records, one behind the other. */
static void join(struct sv input, struct buffer *ret_messages)
{
	while (input.n > HELLO_RECORD_HEADER) {
		size_t n = (size_t)byte_at(input, 3) << 8 | byte_at(input, 4);
		struct sv payload = sv_first(sv_skip(input, HELLO_RECORD_HEADER), n);

		if (byte_at(input, 0) == HANDSHAKE) {
			assert_int_equal(buffer_append_sv(ret_messages, payload), 0);
		}
		input = sv_skip(input, HELLO_RECORD_HEADER + n);
	}
}

static void judge(struct sv messages, bool *ret_is_complete, bool *ret_is_too_large)
{
	*ret_is_complete = *ret_is_too_large = false;
	while (messages.n >= HELLO_MESSAGE_HEADER && !*ret_is_too_large) {
		size_t n = (size_t)byte_at(messages, 1) << 16 | byte_at(messages, 2) << 8 |
			   byte_at(messages, 3);

		*ret_is_too_large = n > HELLO_MAX;
		if (*ret_is_too_large || messages.n - HELLO_MESSAGE_HEADER < n) {
			break;
		}
		*ret_is_complete = true;
		messages = sv_skip(messages, HELLO_MESSAGE_HEADER + n);
	}
}

void fuzz_one(struct sv input)
{
	size_t n_piece = fuzz_byte(&input) + 1;
	struct hello whole = {0}, cut = {0};
	struct buffer messages = BUFFER_INIT;
	bool is_complete, is_too_large;

	hello_read(&whole, (const unsigned char *)input.data, input.n);
	for (size_t at = 0; at < input.n; at += n_piece) {
		struct sv piece = sv_first(sv_skip(input, at), n_piece);
		char *copy = fuzz_copy(piece);

		hello_read(&cut, (const unsigned char *)copy, piece.n);
		free(copy);
	}
	join(input, &messages);
	judge(buffer_sv(&messages), &is_complete, &is_too_large);
	buffer_deinit(&messages);
	FUZZ_CHECK(whole.is_complete == is_complete && cut.is_complete == is_complete);
	FUZZ_CHECK(whole.is_too_large == is_too_large && cut.is_too_large == is_too_large);
}
