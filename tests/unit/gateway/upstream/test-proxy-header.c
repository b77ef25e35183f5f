/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/upstream/proxy-header.h"

#define FFFF "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
#define MAPPED_ZEROS "\0\0\0\0\0\0\0\0\0\0\xff\xff"

static struct address address(const char *text)
{
	struct address result;

	assert_int_equal(address_parse(sv_from(text), 0, &result), 0);
	return result;
}

static void check(enum domain_proxy version, const char *client, const char *gateway,
		  struct sv expected)
{
	struct address client_address, gateway_address = address(gateway);
	char header[PROXY_HEADER_MAX + 8];

	if (client) {
		client_address = address(client);
	}
	memset(header, 'x', sizeof(header));
	size_t n = proxy_header_write(version, client ? &client_address : NULL, &gateway_address,
				      header);

	assert_int_equal(n, expected.n);
	assert_memory_equal(header, expected.data, n);
	/* Nothing after the header was written. */
	assert_memory_equal(header + PROXY_HEADER_MAX, "xxxxxxxx", 8);
}

/* The first three are the worst cases of section 2.1. */
static void test_v1(void **state)
{
	(void)state;
	check(DOMAIN_PROXY_V1, "255.255.255.255:65535", "255.255.255.255:65535",
	      SV("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"));
	check(DOMAIN_PROXY_V1, "[" FFFF "]:65535", "[" FFFF "]:65535",
	      SV("PROXY TCP6 " FFFF " " FFFF " 65535 65535\r\n"));
	check(DOMAIN_PROXY_V1, NULL, "127.0.0.1:1", SV("PROXY UNKNOWN\r\n"));
	check(DOMAIN_PROXY_V1, "192.168.0.1:56324", "192.168.0.11:443",
	      SV("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"));
	/* An address that a front proxy reported has no port. */
	check(DOMAIN_PROXY_V1, "192.0.2.1", "127.0.0.1:40000",
	      SV("PROXY TCP4 192.0.2.1 127.0.0.1 0 40000\r\n"));
	check(DOMAIN_PROXY_V1, "[2001:db8::1]:5", "[::1]:6",
	      SV("PROXY TCP6 2001:db8::1 ::1 5 6\r\n"));
}

static void test_v1_mixed(void **state)
{
	(void)state;
	check(DOMAIN_PROXY_V1, "[2001:db8::1]:5", "127.0.0.1:6",
	      SV("PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 5 6\r\n"));
	check(DOMAIN_PROXY_V1, "192.0.2.1:5", "[::1]:6",
	      SV("PROXY TCP6 ::ffff:192.0.2.1 ::1 5 6\r\n"));
	/* IPv4-mapped addresses are parsed as IPv4. */
	check(DOMAIN_PROXY_V1, "[::ffff:192.0.2.1]:5", "127.0.0.1:6",
	      SV("PROXY TCP4 192.0.2.1 127.0.0.1 5 6\r\n"));
}

static void test_v2(void **state)
{
	(void)state;
	check(DOMAIN_PROXY_V2, "192.0.2.1:258", "127.0.0.9:65535",
	      SV(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x09\x01\x02\xff\xff"));
	check(DOMAIN_PROXY_V2, "[2001:db8::1]:1", "[::1]:2",
	      SV(SIGNATURE "\x21\x21\x00\x24"
			   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
			   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
			   "\0\x01\0\x02"));
	check(DOMAIN_PROXY_V2, NULL, "127.0.0.1:1", SV(SIGNATURE "\x20\x00\x00\x00"));
}

static void test_v2_mixed(void **state)
{
	(void)state;
	check(DOMAIN_PROXY_V2, "[2001:db8::1]:1", "127.0.0.1:2",
	      SV(SIGNATURE "\x21\x21\x00\x24"
			   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" MAPPED_ZEROS "\x7f\0\0\x01"
			   "\0\x01\0\x02"));
	check(DOMAIN_PROXY_V2, "192.0.2.1:1", "[::1]:2",
	      SV(SIGNATURE "\x21\x21\x00\x24" MAPPED_ZEROS "\xc0\0\x02\x01"
			   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
			   "\0\x01\0\x02"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_v1_mixed),
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_v2_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
