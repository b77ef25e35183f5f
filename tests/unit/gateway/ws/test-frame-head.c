/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/macro.h"
#include "gateway/ws/frame-head.h"

/* RFC 6455, 5.2: the shortest form that holds the length must be used. */
static void test_lengths(void **state)
{
	static const struct {
		size_t n_text, n_head;
		const char *head;
	} rows[] = {
		{0, 2, "\x81\x00"},
		{1, 2, "\x81\x01"},
		{125, 2, "\x81\x7d"},
		{126, 4, "\x81\x7e\x00\x7e"},
		{65535, 4, "\x81\x7e\xff\xff"},
		{65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		{0x0102030405060708, 10, "\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08"},
	};
	unsigned char head[FRAME_HEAD_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct frame_head frame = {.opcode = FRAME_TEXT, .n_payload = rows[i].n_text};

		assert_int_equal(frame_head_write(frame, head), rows[i].n_head);
		assert_memory_equal(head, rows[i].head, rows[i].n_head);
	}
}

static void test_first_byte(void **state)
{
	static const struct {
		struct frame_head frame;
		unsigned char first;
	} rows[] = {
		{{.opcode = FRAME_TEXT}, 0x81},  {{.opcode = FRAME_TEXT, .is_coded = true}, 0xc1},
		{{.opcode = FRAME_CLOSE}, 0x88}, {{.opcode = FRAME_PING}, 0x89},
		{{.opcode = FRAME_PONG}, 0x8a},
	};
	unsigned char head[FRAME_HEAD_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(frame_head_write(rows[i].frame, head), 2);
		assert_int_equal(head[0], rows[i].first);
		assert_int_equal(head[1], 0);
	}
}

/* Each header that can be written is read, and is incomplete without its last byte. */
static void test_reading(void **state)
{
	static const struct {
		struct sv bytes;
		struct frame_header header;
	} rows[] = {
#define ROW(bytes, ...)                     \
	{                                   \
		{bytes, sizeof(bytes) - 1}, \
		{                           \
			__VA_ARGS__         \
		}                           \
	}
		ROW("\x81\x00", .opcode = 1, .is_final = true, .is_shortest = true),
		ROW("\x01\x7d", .opcode = 1, .is_shortest = true, .n_payload = 125),
		ROW("\xc2\x7e\x00\x7e", .opcode = 2, .is_final = true, .is_coded = true,
		    .is_shortest = true, .n_payload = 126),
		ROW("\x2f\x7e\x00\x7d", .opcode = 15, .is_reserved = true, .n_payload = 125),
		ROW("\x10\x7e\x00\x00", .is_reserved = true),
		ROW("\x00\x7f\0\0\0\0\0\1\0\0", .is_shortest = true, .n_payload = 65536),
		ROW("\x00\x7f\0\0\0\0\0\0\xff\xff", .n_payload = 65535),
		ROW("\x00\x7f\1\2\3\4\5\6\7\x8", .is_shortest = true,
		    .n_payload = 0x0102030405060708),
		ROW("\x8a\x82m\0sk", .opcode = 10, .is_final = true, .is_masked = true,
		    .is_shortest = true, .n_payload = 2, .mask = {'m', 0, 's', 'k'}),
		ROW("\x80\xfe\xff\xffMASK", .is_final = true, .is_masked = true,
		    .is_shortest = true, .n_payload = 65535, .mask = {'M', 'A', 'S', 'K'}),
#undef ROW
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct frame_header header, expected = rows[i].header;

		memset(&header, 0, sizeof(header));
		for (size_t n = 0; n < rows[i].bytes.n; n++) {
			assert_int_equal(frame_header_read(sv_first(rows[i].bytes, n), &header), 0);
		}
		assert_int_equal(frame_header_read(rows[i].bytes, &header), rows[i].bytes.n);
		assert_int_equal(header.opcode, expected.opcode);
		assert_int_equal(header.is_final, expected.is_final);
		assert_int_equal(header.is_coded, expected.is_coded);
		assert_int_equal(header.is_reserved, expected.is_reserved);
		assert_int_equal(header.is_masked, expected.is_masked);
		assert_int_equal(header.is_shortest, expected.is_shortest);
		assert_int_equal(header.n_payload, expected.n_payload);
		assert_memory_equal(header.mask, expected.mask, sizeof(header.mask));
	}
}

/* Whole, and in two pieces cut anywhere. */
static void test_unmasking(void **state)
{
	enum {
		N_MAX = 40,
	};
	static const unsigned char key[FRAME_MASK_SIZE] = {0x01, 0x80, 0x00, 0xff};

	(void)state;
	for (size_t n = 0; n <= N_MAX; n++) {
		for (size_t n_first = 0; n_first <= n; n_first++) {
			unsigned char mask[FRAME_MASK_SIZE];
			char payload[N_MAX];

			memcpy(mask, key, sizeof(mask));
			for (size_t i = 0; i < n; i++) {
				payload[i] = (char)((char)i ^ (char)key[i % FRAME_MASK_SIZE]);
			}
			frame_unmask(mask, payload, n_first);
			frame_unmask(mask, payload + n_first, n - n_first);
			for (size_t i = 0; i < n; i++) {
				assert_int_equal(payload[i], i);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_first_byte),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_unmasking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
