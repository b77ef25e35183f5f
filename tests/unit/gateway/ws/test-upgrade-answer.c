/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/ws/upgrade.h"

/* RFC 6455, 1.3. */
static void test_answer(void **state)
{
	static const char plain[] = "HTTP/1.1 101 Switching Protocols\r\n"
				    "Date: now\r\n"
				    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
				    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
				    "Sec-WebSocket-Protocol: xmpp\r\n";
	static const char deflate[] =
		"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
		"client_no_context_takeover\r\n";

	(void)state;
	for (int is_coded = 0; is_coded < 2; is_coded++) {
		struct buffer expected = BUFFER_INIT, written = BUFFER_INIT;

		assert_int_equal(
			buffer_printf(&expected, "%s%s\r\n", plain, is_coded ? deflate : ""), 0);
		assert_int_equal(upgrade_write(SV("dGhlIHNhbXBsZSBub25jZQ=="), is_coded,
					       SV("Date: now\r\n"), &written),
				 0);
		assert_true(sv_eq(buffer_sv(&written), buffer_sv(&expected)));
		buffer_deinit(&expected);
		buffer_deinit(&written);
	}
}

/* RFC 7692, 7.1. */
static void test_offers(void **state)
{
	static const struct {
		const char *extensions;
		bool is_taken;
	} rows[] = {
		{"permessage-deflate", true},
		{"Permessage-Deflate", true},
		{"x-webkit-deflate-frame, permessage-deflate", true},
		{"permessage-deflate; client_max_window_bits", true},
		{"permessage-deflate;client_max_window_bits=15", true},
		{"permessage-deflate; client_max_window_bits=\"8\"", true},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		 true},
		/* The second offer is one that can be taken. */
		{"permessage-deflate; server_max_window_bits=10, permessage-deflate", true},
		{NULL, false},
		{"", false},
		{"permessage-deflated", false},
		{"x; permessage-deflate", false},
		{"permessage-deflate; server_max_window_bits=10", false},
		{"permessage-deflate; unknown", false},
		{"permessage-deflate;", false},
		{"permessage-deflate; client_max_window_bits=7", false},
		{"permessage-deflate; client_max_window_bits=x10x", false},
		{"permessage-deflate; client_max_window_bits=\"10x", false},
		{"permessage-deflate; client_max_window_bits=x10\"", false},
		{"permessage-deflate; client_max_window_bits=\"\"", false},
		{"permessage-deflate; client_max_window_bits=16", false},
		{"permessage-deflate; client_max_window_bits=08", false},
		{"permessage-deflate; client_max_window_bits=", false},
		{"permessage-deflate; client_no_context_takeover=1", false},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (upgrade_offers_deflate(sv_from(rows[i].extensions)) != rows[i].is_taken) {
			fail_msg("%s", rows[i].extensions);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
