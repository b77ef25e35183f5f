/* SPDX-License-Identifier: MIT */
#include "gateway/wire/hello.h"

#include <string.h>

enum {
	/* RFC 8446, 5.1 */
	RECORD_HANDSHAKE = 22,
	VERSION_MAJOR = 3,
	RECORD_MAX = 16384,
	/* RFC 8446, 4 */
	CLIENT_HELLO = 1,
};

static size_t lesser(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Appends to the @n_is of @n_header bytes that are there. Returns how many it took. */
static size_t fill(unsigned char *header, uint8_t *n_is, size_t n_header,
		   const unsigned char *bytes, size_t n)
{
	size_t n_taken = lesser(n, n_header - *n_is);

	memcpy(header + *n_is, bytes, n_taken);
	*n_is = (uint8_t)(*n_is + n_taken);
	return n_taken;
}

static void expect(struct hello *hello, bool is_of_hello)
{
	hello->is_other = hello->is_other || (!hello->is_complete && !is_of_hello);
}

static void record_begin(struct hello *hello)
{
	const unsigned char *at = hello->record;

	hello->n_record_left = (uint16_t)(at[3] << 8 | at[4]);
	expect(hello, at[0] == RECORD_HANDSHAKE && at[1] == VERSION_MAJOR &&
			      hello->n_record_left <= RECORD_MAX);
}

static void message_end(struct hello *hello)
{
	if (hello->n_message == HELLO_MESSAGE_HEADER && hello->n_message_left == 0 &&
	    !hello->is_too_large) {
		hello->n_message = 0;
		hello->is_complete = true;
	}
}

/* Reads @n bytes of a record's payload. */
static void read_messages(struct hello *hello, const unsigned char *bytes, size_t n)
{
	while (n && !hello->is_too_large) {
		size_t n_taken;

		if (hello->n_message < HELLO_MESSAGE_HEADER) {
			n_taken = fill(hello->message, &hello->n_message, HELLO_MESSAGE_HEADER,
				       bytes, n);
			const unsigned char *at = hello->message;
			size_t n_all = (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];

			hello->is_too_large =
				hello->n_message == HELLO_MESSAGE_HEADER && n_all > HELLO_MAX;
			hello->n_message_left = (uint16_t)n_all;
			expect(hello, at[0] == CLIENT_HELLO);
		} else {
			n_taken = lesser(n, hello->n_message_left);
			hello->n_message_left = (uint16_t)(hello->n_message_left - n_taken);
		}
		message_end(hello);
		bytes += n_taken;
		n -= n_taken;
	}
}

void hello_read(struct hello *hello, const unsigned char *bytes, size_t n)
{
	while (n && !hello->is_too_large) {
		size_t n_taken;

		if (hello->n_record < HELLO_RECORD_HEADER) {
			n_taken = fill(hello->record, &hello->n_record, HELLO_RECORD_HEADER, bytes,
				       n);
			if (hello->n_record == HELLO_RECORD_HEADER) {
				record_begin(hello);
			}
		} else {
			n_taken = lesser(n, hello->n_record_left);
			if (hello->record[0] == RECORD_HANDSHAKE) {
				read_messages(hello, bytes, n_taken);
			}
			hello->n_record_left = (uint16_t)(hello->n_record_left - n_taken);
		}
		if (hello->n_record == HELLO_RECORD_HEADER && hello->n_record_left == 0) {
			hello->n_record = 0;
		}
		bytes += n_taken;
		n -= n_taken;
	}
}
