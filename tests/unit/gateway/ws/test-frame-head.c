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
		{{.opcode = FRAME_TEXT}, 0x81},  {{.opcode = FRAME_TEXT, .coded = true}, 0xc1},
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_first_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
