/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "gateway/listener/proxy-in.h"

#define REQUEST "POST /http-bind HTTP/1.1\r\n"
#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define CLIENT4 "\xc0\x00\x02\x01" /* 192.0.2.1 */
#define CLIENT6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define PORTS "\x12\x67\x14\x66" /* 4711, 5222 */
#define TCP4 CLIENT4 CLIENT4 PORTS
#define TCP6 CLIENT6 CLIENT6 PORTS
#define SSL_ON "\x20\x00\x05\x01\0\0\0\0"
#define SSL_OFF "\x20\x00\x05\x00\0\0\0\0"

/* Parses a copy of exactly @bytes, so that reading beyond them is found out. */
static enum proxy_in_result parse(struct sv bytes, struct proxy_in *header)
{
	char *copy = malloc(bytes.n ? bytes.n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes.data, bytes.n);
	enum proxy_in_result result = proxy_in_parse((struct sv){copy, bytes.n}, header);

	free(copy);
	return result;
}

/* @n_header bytes are a header, which is known at its last byte and not before. */
static void check(struct sv bytes, size_t n_header, const char *client, bool is_secure)
{
	struct proxy_in header;
	char text[ADDRESS_TEXT_MAX];

	for (size_t n = 0; n < n_header; n++) {
		assert_int_equal(parse(sv_first(bytes, n), &header), PROXY_IN_MORE);
	}
	for (size_t n = n_header; n <= bytes.n; n++) {
		assert_int_equal(parse(sv_first(bytes, n), &header), PROXY_IN_OK);
		assert_int_equal(header.n, n_header);
		assert_int_equal(header.is_secure, is_secure);
		assert_int_equal(header.has_client, client != NULL);
		if (client) {
			assert_string_equal(address_format(&header.client, text), client);
		}
	}
}

/* However @bytes are cut, they are refused at the same byte, and stay refused. */
static void check_bad(struct sv bytes)
{
	struct proxy_in header;
	bool is_bad = false;

	for (size_t n = 0; n <= bytes.n; n++) {
		enum proxy_in_result result = parse(sv_first(bytes, n), &header);

		assert_int_not_equal(result, PROXY_IN_OK);
		assert_false(is_bad && result != PROXY_IN_E_BAD);
		is_bad = result == PROXY_IN_E_BAD;
	}
	if (!is_bad) {
		fail_msg("not refused: %.*s", SV_ARGS(bytes));
	}
}

static void check_v1(const char *line, const char *client)
{
	char bytes[200];
	int n = snprintf(bytes, sizeof(bytes), "%s" REQUEST, line);

	check((struct sv){bytes, (size_t)n}, strlen(line), client, false);
}

static void test_v1(void **state)
{
	(void)state;
	check_v1("PROXY TCP4 192.0.2.1 198.51.100.1 4711 5280\r\n", "192.0.2.1:4711");
	check_v1("PROXY TCP4 192.0.2.1 198.51.100.1 0 65535\r\n", "192.0.2.1:0");
	check_v1("PROXY TCP6 2001:db8::7 ::1 4711 5280\r\n", "[2001:db8::7]:4711");
	check_v1("PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 5280\r\n", "192.0.2.1:4711");
	check_v1("PROXY UNKNOWN\r\n", NULL);
	check_v1("PROXY UNKNOWN 192.0.2.1 whatever\r\n", NULL);
	/* the longest line that section 2.1 has */
	check_v1("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		 NULL);
}

static void test_v1_bad(void **state)
{
	static const char *const lines[] = {
		"PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.1 4711 5280 \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.1 4711 5280 1\r\n",
		"PROXY TCP4  192.0.2.1 198.51.100.1 4711 5280\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.1 04711 5280\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.1 4711 65536\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.1 -1 5280\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.1 +1 5280\r\n",
		"PROXY TCP4 192.0.2.256 198.51.100.1 4711 5280\r\n",
		"PROXY TCP4 192.0.2.1:80 198.51.100.1 4711 5280\r\n",
		"PROXY TCP4 2001:db8::7 ::1 4711 5280\r\n",
		"PROXY TCP6 192.0.2.1 198.51.100.1 4711 5280\r\n",
		"PROXY TCP6 [2001:db8::7] ::1 4711 5280\r\n",
		"PROXY TCP6 fe80::1%lo ::1 4711 5280\r\n",
		"PROXY TCP4 192.0.2.1 example.org 4711 5280\r\n",
		"PROXY TCP5 192.0.2.1 198.51.100.1 4711 5280\r\n",
		"PROXY UDP4 192.0.2.1 198.51.100.1 4711 5280\r\n",
		"PROXY tcp4 192.0.2.1 198.51.100.1 4711 5280\r\n",
		"PROXY UNKNOWNX\r\n",
		"PROXY TCP4\r\n",
		"PROXY \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.1 4711 5280\rX",
		"PROXY UNKNOWN\n\r\r",
		"PROXX ",
		"proxy ",
		"GET /",
		"\r\n\r\nX",
		REQUEST,
	};
	char long_line[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		check_bad(sv_from(lines[i]));
	}
	check_bad(SV("PROXY TCP4 192.0.2.1\0 198.51.100.1 4711 5280\r\n"));
	/* 107 bytes and one more */
	memset(long_line, ' ', sizeof(long_line));
	memcpy(long_line, "PROXY UNKNOWN", 13);
	memcpy(long_line + 105, "\r\n", 2);
	check((struct sv){long_line, 107}, 107, NULL, false);
	memcpy(long_line + 105, " \r\n", 3);
	check_bad((struct sv){long_line, 108});
}

static void test_v2(void **state)
{
	(void)state;
	check(SV(V2 "\x21\x11\x00\x0c" TCP4 REQUEST), 28, "192.0.2.1:4711", false);
	check(SV(V2 "\x21\x21\x00\x24" TCP6 REQUEST), 52, "[2001:db8::7]:4711", false);
	check(SV(V2 "\x20\x00\x00\x00" REQUEST), 16, NULL, false);
	check(SV(V2 "\x20\x11\x00\x0c" TCP4 REQUEST), 28, NULL, false);
	check(SV(V2 "\x20\x77\x00\x02xx" REQUEST), 18, NULL, false);
	check(SV(V2 "\x21\x00\x00\x03xxx" REQUEST), 19, NULL, false);
	/* what follows the addresses */
	check(SV(V2 "\x21\x11\x00\x14" TCP4 SSL_ON REQUEST), 36, "192.0.2.1:4711", true);
	check(SV(V2 "\x21\x11\x00\x14" TCP4 SSL_OFF REQUEST), 36, "192.0.2.1:4711", false);
	check(SV(V2 "\x21\x11\x00\x18" TCP4 "\x04\x00\x01x" SSL_ON REQUEST), 40, "192.0.2.1:4711",
	      true);
	check(SV(V2 "\x21\x11\x00\x0f" TCP4 "\x20\x00\x00" REQUEST), 31, "192.0.2.1:4711", false);
	check(SV(V2 "\x21\x21\x00\x2c" TCP6 SSL_ON REQUEST), 60, "[2001:db8::7]:4711", true);
}

static void test_v2_unix(void **state)
{
	char bytes[16 + 216 + 1] = V2 "\x21\x31\x00\xd8";

	(void)state;
	check((struct sv){bytes, sizeof(bytes)}, 16 + 216, NULL, false);
}

static void test_v2_bad(void **state)
{
	(void)state;
	check_bad(SV(V2 "\x11\x11\x00\x0c"));
	check_bad(SV(V2 "\x31\x11\x00\x0c"));
	check_bad(SV(V2 "\x22\x11\x00\x0c"));
	check_bad(SV(V2 "\x21\x12\x00\x0c"));
	check_bad(SV(V2 "\x21\x22\x00\x24"));
	check_bad(SV(V2 "\x21\x11\x00\x0b"));
	check_bad(SV(V2 "\x21\x21\x00\x23"));
	check_bad(SV(V2 "\x21\x31\x00\xd7"));
	check_bad(SV(V2 "\x21\x11\x00\x0d" TCP4 "\x20"));
	check_bad(SV(V2 "\x21\x11\x00\x0f" TCP4 "\x20\x00\x01"));
	check_bad(SV("\r\n\r\n\0\r\nQUIT\r"));
}

/* A header of PROXY_IN_MAX bytes, and of one more. */
static void test_v2_longest(void **state)
{
	static char bytes[PROXY_IN_MAX + 1];

	(void)state;
	memcpy(bytes, V2 "\x20\x00\x07\xf0", 16);
	check((struct sv){bytes, sizeof(bytes)}, PROXY_IN_MAX, NULL, false);
	bytes[15] = (char)0xf1;
	check_bad((struct sv){bytes, 16});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),     cmocka_unit_test(test_v1_bad),
		cmocka_unit_test(test_v2),     cmocka_unit_test(test_v2_unix),
		cmocka_unit_test(test_v2_bad), cmocka_unit_test(test_v2_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
