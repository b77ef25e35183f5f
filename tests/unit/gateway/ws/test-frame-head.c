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
		assert_int_equal(frame_head_write(rows[i].n_text, head), rows[i].n_head);
		assert_memory_equal(head, rows[i].head, rows[i].n_head);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
