/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/wire/hello.h"

enum {
	CHANGE_CIPHER = 20,
	HANDSHAKE = 22,
	CLIENT_HELLO = 1,
};

static struct {
	unsigned char bytes[4 * HELLO_MAX];
	size_t n;
} sent;

/* @n bytes in records of at most @n_record. */
static void send_records(unsigned type, const unsigned char *bytes, size_t n, size_t n_record)
{
	while (n) {
		size_t n_now = n < n_record ? n : n_record;
		const unsigned char header[] = {(unsigned char)type, 3, 1,
						(unsigned char)(n_now >> 8), (unsigned char)n_now};

		memcpy(sent.bytes + sent.n, header, sizeof(header));
		memcpy(sent.bytes + sent.n + sizeof(header), bytes, n_now);
		sent.n += sizeof(header) + n_now;
		bytes += n_now;
		n -= n_now;
	}
}

/* A hello that claims @n bytes, and has @n_there of them. */
static void send_hello(size_t n, size_t n_there, size_t n_record)
{
	static unsigned char message[HELLO_MESSAGE_HEADER + HELLO_MAX];

	memset(message, 0xff, sizeof(message));
	message[0] = CLIENT_HELLO;
	message[1] = (unsigned char)(n >> 16);
	message[2] = (unsigned char)(n >> 8);
	message[3] = (unsigned char)n;
	send_records(HANDSHAKE, message, HELLO_MESSAGE_HEADER + n_there, n_record);
}

/* Reads what was sent in pieces of @n_piece. */
static struct hello read_all(size_t n_piece)
{
	struct hello hello = {0};

	for (size_t at = 0; at < sent.n; at += n_piece) {
		size_t n_left = sent.n - at;

		hello_read(&hello, sent.bytes + at, n_left < n_piece ? n_left : n_piece);
	}
	return hello;
}

static void assert_read(bool is_complete, bool is_too_large)
{
	for (size_t n_piece = 1; n_piece < 3 * HELLO_MAX; n_piece = n_piece * 5 + 2) {
		struct hello hello = read_all(n_piece);

		assert_int_equal(hello.is_complete, is_complete);
		assert_int_equal(hello.is_too_large, is_too_large);
	}
}

/* In records of any size. */
static void test_bound(void **state)
{
	(void)state;
	for (size_t n_record = 3; n_record <= HELLO_MAX; n_record = n_record * 7) {
		sent.n = 0;
		send_hello(HELLO_MAX, HELLO_MAX, n_record);
		assert_read(true, false);
		sent.n = 0;
		send_hello(HELLO_MAX, HELLO_MAX - 1, n_record);
		assert_read(false, false);
		sent.n = 0;
		send_hello(HELLO_MAX + 1, 0, n_record);
		assert_read(false, true);
		sent.n = 0;
		send_hello(0xffffff, 0, n_record);
		assert_read(false, true);
		sent.n = 0;
		send_hello(0xff0000, 0, n_record);
		assert_read(false, true);
	}
	/* Where its length is not all there, nothing is known. */
	sent.n = 0;
	send_hello(HELLO_MAX + 1, 0, 1);
	sent.n--;
	assert_read(false, false);
	sent.n++;
	assert_read(false, true);
}

/* The second one, behind a record of another kind, an empty one and an empty message. */
static void test_second(void **state)
{
	static const unsigned char change = 1, empty[] = {HANDSHAKE, 3, 1, 0, 0},
				   request[HELLO_MESSAGE_HEADER] = {0};

	(void)state;
	sent.n = 0;
	send_hello(300, 300, 100);
	send_records(CHANGE_CIPHER, &change, 1, 1);
	memcpy(sent.bytes + sent.n, empty, sizeof(empty));
	sent.n += sizeof(empty);
	send_records(HANDSHAKE, request, sizeof(request), 2);
	assert_read(true, false);
	size_t n_before = sent.n;

	send_hello(HELLO_MAX, 100, 100);
	assert_read(true, false);
	sent.n = n_before;
	send_hello(HELLO_MAX + 1, 100, 100);
	assert_read(true, true);
}

/* A message may begin in the middle of a record, behind one that ends there. */
static void test_two_in_a_record(void **state)
{
	const size_t n = HELLO_MAX + 1;
	unsigned char both[] = {
		CLIENT_HELLO,    0, 0, 3, 0, 0, 0, CLIENT_HELLO, 0, (unsigned char)(n >> 8),
		(unsigned char)n};

	(void)state;
	sent.n = 0;
	send_records(HANDSHAKE, both, sizeof(both), sizeof(both));
	assert_read(true, true);
	both[sizeof(both) - 1]--;
	sent.n = 0;
	send_records(HANDSHAKE, both, sizeof(both), sizeof(both));
	assert_read(true, false);
}

static void assert_other(bool is_other, const unsigned char *bytes, size_t n)
{
	sent.n = n;
	memcpy(sent.bytes, bytes, n);
	for (size_t n_piece = 1; n_piece <= n; n_piece++) {
		assert_int_equal(read_all(n_piece).is_other, is_other);
	}
}

/* What begins no hello. */
static void test_other(void **state)
{
	const size_t n_max = 16384; /* RFC 8446, 5.1 */
	unsigned char bytes[] = {HANDSHAKE, 3, 1, 0, 2, CLIENT_HELLO, 0, HANDSHAKE, 3,
				 1,         0, 9, 1, 0};
	const size_t firsts[] = {0, 1, 5, 7, 8};

	(void)state;
	assert_other(false, bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(firsts) / sizeof(*firsts); i++) {
		bytes[firsts[i]]++;
		assert_other(true, bytes, sizeof(bytes));
		bytes[firsts[i]]--;
	}
	bytes[3] = n_max >> 8;
	bytes[4] = 0;
	assert_other(false, bytes, sizeof(bytes));
	bytes[4] = 1;
	assert_other(true, bytes, sizeof(bytes));
}

/* Behind a whole hello, other records follow. */
static void test_other_behind(void **state)
{
	static const unsigned char change = 1;

	(void)state;
	sent.n = 0;
	send_hello(10, 10, 100);
	send_records(CHANGE_CIPHER, &change, 1, 1);
	assert_false(read_all(1).is_other);
	assert_false(read_all(sent.n).is_other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound),           cmocka_unit_test(test_second),
		cmocka_unit_test(test_two_in_a_record), cmocka_unit_test(test_other),
		cmocka_unit_test(test_other_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
