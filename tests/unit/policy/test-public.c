/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/public.h"

static void check(const char *text, bool is_public)
{
	struct address address;

	if (address_parse(sv_from(text), 5222, &address) < 0) {
		fail_msg("no address: %s", text);
	}
	if (address_is_public(&address) != is_public) {
		fail_msg("%s should %sbe public", text, is_public ? "" : "not ");
	}
}

/* First and last address of each range, and the neighbours outside; NULL where another range
 * adjoins. */
static const struct {
	const char *below;
	const char *first;
	const char *last;
	const char *above;
} ranges[] = {
	{NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
	{"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
	{"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
	{"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
	{"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
	{"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
	{"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
	{"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
	{"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
	{"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
	{"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
	{"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
	{"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
	{"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL},
	{NULL, "240.0.0.0", "255.255.255.255", NULL},
	{NULL, "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"},
	{"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	 "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
	{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
	 "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
	{"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	 "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
	{"3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	 "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
};

static void test_ranges(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++) {
		check(ranges[i].first, false);
		check(ranges[i].last, false);
		if (ranges[i].below) {
			check(ranges[i].below, true);
		}
		if (ranges[i].above) {
			check(ranges[i].above, true);
		}
	}
}

static void test_well_known(void **state)
{
	static const char *const inside[] = {
		"127.0.0.1",
		"10.1.2.3",
		"172.20.0.1",
		"192.168.1.1",
		"100.100.100.200",
		"169.254.169.254",
		"255.255.255.255",
		"224.0.0.251",
		"::1",
		"::",
		"fe80::1",
		"febf::1",
		"fec0::1",
		"fc00::1",
		"fd12:3456::1",
		"fd00:ec2::254",
		"ff02::1",
		"ff0e::1",
		"100::1",
		"2001:2::1",
		"2001:20::1",
		"5f00::1",
		"0:0:0:0:ffff:0:102:304",
	};
	static const char *const outside[] = {
		"1.1.1.1",
		"8.8.8.8",
		"93.184.216.34",
		"2606:4700::1111",
		"2001:4860:4860::8888",
		"2a00:1450::1",
		"2620:fe::fe",
		"192.0.1.1",
		"223.1.1.1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(inside); i++) {
		check(inside[i], false);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(outside); i++) {
		check(outside[i], true);
	}
}

/* Checks each IPv4 range again in the forms of IPv6 that embed IPv4. */
static void check_carried(const char *text, bool is_public)
{
	struct address v4;
	struct address v6 = {0};
	static const unsigned char prefixes[][12] = {
		{0x00, 0x64, 0xff, 0x9b},   /* NAT64 */
		{[10] = 0xff, [11] = 0xff}, /* mapped, as parsers never return it */
	};

	assert_int_equal(address_parse(sv_from(text), 5222, &v4), 0);
	v6.v6.sin6_family = AF_INET6;
	for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
		memcpy(&v6.v6.sin6_addr, prefixes[i], 12);
		memcpy(&v6.v6.sin6_addr.s6_addr[12], &v4.v4.sin_addr, 4);
		if (address_is_public(&v6) != is_public) {
			fail_msg("%s in form %zu", text, i);
		}
	}
	/* 6to4; the rest of the address is arbitrary. */
	memset(&v6.v6.sin6_addr, 0xa5, sizeof(v6.v6.sin6_addr));
	memcpy(&v6.v6.sin6_addr, "\x20\x02", 2);
	memcpy(&v6.v6.sin6_addr.s6_addr[2], &v4.v4.sin_addr, 4);
	if (address_is_public(&v6) != is_public) {
		fail_msg("%s in 6to4", text);
	}
	/* Compatible, local NAT64 and Teredo are never public. */
	memset(&v6.v6.sin6_addr, 0, sizeof(v6.v6.sin6_addr));
	memcpy(&v6.v6.sin6_addr.s6_addr[12], &v4.v4.sin_addr, 4);
	assert_false(address_is_public(&v6));
	memcpy(&v6.v6.sin6_addr, "\x00\x64\xff\x9b\x00\x01", 6);
	assert_false(address_is_public(&v6));
	memcpy(&v6.v6.sin6_addr, "\x20\x01\x00\x00", 4);
	memcpy(&v6.v6.sin6_addr.s6_addr[4], &v4.v4.sin_addr, 4);
	assert_false(address_is_public(&v6));
}

static void test_carried(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ranges) && !strchr(ranges[i].first, ':'); i++) {
		check_carried(ranges[i].first, false);
		check_carried(ranges[i].last, false);
		if (ranges[i].below) {
			check_carried(ranges[i].below, true);
		}
		if (ranges[i].above) {
			check_carried(ranges[i].above, true);
		}
	}
	check("::ffff:127.0.0.1", false);
	check("::ffff:8.8.8.8", true);
	check("64:ff9b::7f00:1", false);
	check("64:ff9b::808:808", true);
	check("64:ff9b::1:808:808", false);
	check("2002:7f00:1::1", false);
	check("2002:808:808::1", true);
	check("2003::1", true);
}

static void test_no_address(void **state)
{
	struct address address = {.any.sa_family = AF_UNIX};

	(void)state;
	assert_false(address_is_public(&address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_well_known),
		cmocka_unit_test(test_carried),
		cmocka_unit_test(test_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
