/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "common/address.h"

static struct address parsed(const char *text)
{
	struct address address;

	if (address_parse(sv_from(text), 0, &address) < 0) {
		fail_msg("no address: %s", text);
	}
	return address;
}

static void test_parse_formats_back(void **state)
{
	/* text, default port, with the port, without */
	static const struct {
		const char *text;
		int default_port;
		const char *full;
		const char *host;
	} rows[] = {
		{"192.0.2.1:5222", -1, "192.0.2.1:5222", "192.0.2.1"},
		{"192.0.2.1", 5222, "192.0.2.1:5222", "192.0.2.1"},
		{"192.0.2.1:1", 5222, "192.0.2.1:1", "192.0.2.1"},
		{"255.255.255.255:65535", -1, "255.255.255.255:65535", "255.255.255.255"},
		{"0.0.0.0:0", -1, "0.0.0.0:0", "0.0.0.0"},
		{"[2001:db8::1]:5222", -1, "[2001:db8::1]:5222", "2001:db8::1"},
		{"[2001:DB8:0:0::1]", 53, "[2001:db8::1]:53", "2001:db8::1"},
		{"2001:db8::1", 53, "[2001:db8::1]:53", "2001:db8::1"},
		{"::", 5280, "[::]:5280", "::"},
		{"::1", 0, "[::1]:0", "::1"},
		{"::ffff:192.0.2.1", 7, "192.0.2.1:7", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:8", -1, "192.0.2.1:8", "192.0.2.1"},
		{"[::FFFF:c000:201]:8", -1, "192.0.2.1:8", "192.0.2.1"},
		{"[fe80::1%1]:9", -1, "[fe80::1%lo]:9", "fe80::1%lo"},
		{"fe80::1%lo", 9, "[fe80::1%lo]:9", "fe80::1%lo"},
		{"fe80::1%4000000000", 9, "[fe80::1%4000000000]:9", "fe80::1%4000000000"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", -1,
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct address address;
		struct address again;

		assert_int_equal(
			address_parse(sv_from(rows[i].text), rows[i].default_port, &address), 0);
		assert_string_equal(address_format_host(&address, text), rows[i].host);
		assert_string_equal(address_format(&address, text), rows[i].full);
		assert_int_equal(address_parse(sv_from(text), -1, &again), 0);
		assert_memory_equal(&again, &address, sizeof(address));
	}
}

static const char *const not_addresses[] = {
	"",
	" ",
	":",
	":5222",
	"[]:5222",
	"[",
	"]",
	"[::1",
	"::1]",
	"[::1]5222",
	"[::1]:",
	"[::1]: 1",
	"192.0.2.1:",
	"192.0.2.1:65536",
	"192.0.2.1:-1",
	"192.0.2.1:+1",
	"192.0.2.1:0x1",
	"192.0.2.1: 1",
	" 192.0.2.1",
	"192.0.2.1 ",
	"192.0.2",
	"192.0.2.256",
	"192.0.2.01",
	"0x7f.1",
	"127.1",
	"1",
	"2130706433",
	"192.0.2.1.2",
	"[192.0.2.1]:1",
	"[192.0.2.1]",
	"example.org",
	"localhost:1",
	"1:2:3",
	"::1::",
	"12345::",
	"::g",
	"fe80::1%",
	"fe80::1%0",
	"fe80::1%no-such-link",
	"2001:db8::1%lo",
	"192.0.2.1%lo",
	"::ffff:192.0.2.1%lo",
	"fe80::1%an-interface-name-too-long",
	"[::1]:1:2",
	"*",
	"::1/128",
	"0000:0000:0000:0000:0000:0000:0000:0000:0000",
};

/* The padding goes to the kernel, too. */
static void test_padding(void **state)
{
	static const char zeros[sizeof(struct in6_addr)];
	struct address address;

	(void)state;
	memset(&address, 0xff, sizeof(address));
	assert_int_equal(address_parse(SV("192.0.2.1:1"), 0, &address), 0);
	assert_memory_equal(address.v4.sin_zero, zeros, sizeof(address.v4.sin_zero));
}

static void test_parse_refuses(void **state)
{
	struct address address;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(not_addresses); i++) {
		if (address_parse(sv_from(not_addresses[i]), 5222, &address) != -EINVAL) {
			fail_msg("taken: '%s'", not_addresses[i]);
		}
	}
	/* A NUL is not part of an address, nor are bytes after the end of the view. */
	assert_int_equal(address_parse(SV("192.0.2.1\0:1"), 1, &address), -EINVAL);
	assert_int_equal(address_parse(SV("192.0.2.1\0"), 1, &address), -EINVAL);
	assert_int_equal(address_parse((struct sv){"192.0.2.19", 9}, 1, &address), 0);
	assert_true(address_is_same_host(
		&address, &(struct address){.v4 = {.sin_family = AF_INET,
						   .sin_addr.s_addr = htonl(0xc0000201)}}));
}

static void test_parse_needs_a_port_where_there_is_no_default(void **state)
{
	struct address address = {0};

	(void)state;
	assert_int_equal(address_parse(SV("192.0.2.1"), -1, &address), -EINVAL);
	assert_int_equal(address_parse(SV("[::1]"), -1, &address), -EINVAL);
	assert_int_equal(address_parse(SV("::1"), -1, &address), -EINVAL);
	assert_int_equal(address.any.sa_family, 0);
}

static void test_from_sockaddr(void **state)
{
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(99), .sin6_flowinfo = 7};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(98)};
	struct sockaddr other = {.sa_family = AF_UNIX};
	struct address address;
	struct address expected;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	inet_pton(AF_INET6, "::ffff:10.1.2.3", &v6.sin6_addr);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&v6, &address), 0);
	assert_int_equal(address.any.sa_family, AF_INET);
	assert_int_equal(address_size(&address), sizeof(struct sockaddr_in));
	assert_string_equal(address_format(&address, text), "10.1.2.3:99");

	inet_pton(AF_INET6, "fe80::7", &v6.sin6_addr);
	v6.sin6_scope_id = 1;
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&v6, &address), 0);
	assert_int_equal(address_size(&address), sizeof(struct sockaddr_in6));
	assert_string_equal(address_format(&address, text), "[fe80::7%lo]:99");
	/* The flow label and the padding are gone: equal addresses are equal bytes. */
	expected = parsed("[fe80::7%lo]:99");
	assert_memory_equal(&address, &expected, sizeof(address));

	inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&v4, &address), 0);
	assert_string_equal(address_format(&address, text), "10.1.2.3:98");
	assert_int_equal(address_from_sockaddr(&other, &address), -EAFNOSUPPORT);
}

static void test_port(void **state)
{
	struct address v4 = parsed("192.0.2.1:1");
	struct address v6 = parsed("[::1]:2");

	(void)state;
	assert_int_equal(address_port(&v4), 1);
	assert_int_equal(address_port(&v6), 2);
	address_set_port(&v4, 65535);
	address_set_port(&v6, 256);
	assert_int_equal(address_port(&v4), 65535);
	assert_int_equal(address_port(&v6), 256);
	assert_int_equal(v6.v6.sin6_port, htons(256));
}

static void test_same_host(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool same;
	} rows[] = {
		{"192.0.2.1:1", "192.0.2.1:2", true},     {"192.0.2.1:1", "192.0.2.2:1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},  {"192.0.2.1", "::192.0.2.1", false},
		{"[2001:db8::1]:1", "2001:db8::1", true}, {"2001:db8::1", "2001:db8::2", false},
		{"fe80::1%1", "fe80::1%2", false},        {"0.0.0.0", "::", false},
		{"192.0.2.1:1", "192.0.2.1:1", true},     {"[::1]:1", "[::1]:1", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct address a = parsed(rows[i].a);
		struct address b = parsed(rows[i].b);

		assert_int_equal(address_is_same_host(&a, &b), rows[i].same);
		assert_int_equal(address_is_same_host(&b, &a), rows[i].same);
		assert_int_equal(address_is_same(&a, &b),
				 rows[i].same && address_port(&a) == address_port(&b));
	}
}

static void test_network_refuses(void **state)
{
	static const char *const texts[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"10.0.0.0/ 8",
		"10/8",
		"10.0.0.0:1/8",
		"10.0.0.0/8:1",
		"[::1]/128",
		"[::1]",
		"::1/129",
		"::1/",
		"fe80::%lo/64",
		"example.org/24",
		"*",
		"10.0.0.0/255.0.0.0",
		"::ffff:10.0.0.0/95",
		"::ffff:10.0.0.0/8",
	};
	struct network network;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		if (network_parse(sv_from(texts[i]), &network) != -EINVAL) {
			fail_msg("taken: '%s'", texts[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_formats_back),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_needs_a_port_where_there_is_no_default),
		cmocka_unit_test(test_from_sockaddr),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_same_host),
		cmocka_unit_test(test_network_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
