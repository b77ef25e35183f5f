/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "common/buffer.h"
#include "policy/networks.h"
#include "tests/unit/failmalloc.h"

static struct address at(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), 1, &address), 0);
	return address;
}

static struct networks set_of(const char *list)
{
	struct networks networks = {0};
	unsigned line;

	assert_int_equal(networks_add_list(&networks, sv_from(list), &line), 0);
	networks_seal(&networks);
	return networks;
}

static void test_contain(void **state)
{
	static const struct {
		const char *network;
		const char *address;
		bool inside;
	} rows[] = {
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.6", false},
		{"192.0.2.7/32", "192.0.2.7:80", true},
		{"192.0.2.6/31", "192.0.2.7", true},
		{"192.0.2.6/31", "192.0.2.8", false},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.9.8.7/8", "10.0.0.1", true},
		{"172.16.0.0/12", "172.31.255.255", true},
		{"172.16.0.0/12", "172.32.0.0", false},
		{"172.16.0.0/12", "172.15.255.255", false},
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "::1", false},
		{"0.0.0.0/0", "::ffff:8.8.8.8", true},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.1", false},
		{"::/0", "::ffff:192.0.2.1", false},
		{"fd00::/8", "fdff::1", true},
		{"fd00::/8", "fe00::1", false},
		{"2001:db8:0:8000::/49", "2001:db8:0:ffff::", true},
		{"2001:db8:0:8000::/49", "2001:db8:0:7fff::", false},
		{"::1", "::1", true},
		{"::1/128", "::2", false},
		{"::ffff:10.0.0.0/104", "10.200.0.1", true},
		{"::ffff:10.0.0.0/104", "11.0.0.1", false},
		{"::ffff:10.0.0.1", "10.0.0.1", true},
		{"::ffff:10.0.0.1", "10.0.0.2", false},
		{"::ffff:0:0/96", "1.2.3.4", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct networks set = set_of(rows[i].network);
		const struct address address = at(rows[i].address);

		if (networks_contain(&set, &address) != rows[i].inside) {
			fail_msg("%s, %s", rows[i].network, rows[i].address);
		}
		networks_deinit(&set);
	}
}

static void test_match(void **state)
{
	static const struct {
		const char *address;
		int n_bits;
	} rows[] = {
		{"192.0.2.1", 32},   {"192.0.2.2", 24},
		{"192.0.3.0", 23},   {"192.0.4.0", 1},
		{"127.0.0.1", -1},   {"::ffff:192.0.2.1", 32},
		{"2001:db8::1", 32}, {"2001:db8:0:7::1", 64},
		{"2001:db9::", -1},  {"2001:db8::7", 128},
		{"::1", -1},         {"255.255.255.255", 1},
	};
	struct networks set =
		set_of("192.0.2.1\n192.0.2.99/24\r\n# a comment\n\n192.0.2.0/23 ; one\n"
		       "2001:db8::/32\n2001:db8::7\n2001:db8:0:7::/64\n128.0.0.0/1");

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const struct address address = at(rows[i].address);
		int n_bits = networks_match(&set, &address);

		if (n_bits != rows[i].n_bits) {
			fail_msg("%s: got %d", rows[i].address, n_bits);
		}
	}
	networks_deinit(&set);
	networks_deinit(&set);
}

/* All of IPv6 is nothing of IPv4, and the other way round. */
static void test_families(void **state)
{
	struct networks v6 = set_of("::/0");
	struct networks v4 = set_of("0.0.0.0/0");
	const struct address mapped = at("::ffff:192.0.2.1");
	const struct address plain = at("2001:db8::1");

	(void)state;
	assert_int_equal(networks_match(&v6, &mapped), -1);
	assert_int_equal(networks_match(&v6, &plain), 0);
	assert_int_equal(networks_match(&v4, &mapped), 0);
	assert_int_equal(networks_match(&v4, &plain), -1);
	networks_deinit(&v4);
	networks_deinit(&v6);
}

static void check_admit(const char *allowed, const char *denied, const char *address, bool may)
{
	struct networks a = set_of(allowed);
	struct networks d = set_of(denied);
	const struct address client = at(address);

	assert_int_equal(networks_admit(&a, &d, &client), may);
	networks_deinit(&a);
	networks_deinit(&d);
}

static void test_admit(void **state)
{
	(void)state;
	check_admit("", "", "192.0.2.1", true);
	check_admit("", "192.0.2.0/24", "192.0.2.1", false);
	check_admit("", "192.0.2.0/24", "192.0.3.1", true);
	check_admit("192.0.2.0/24", "", "192.0.2.1", true);
	check_admit("192.0.2.0/24", "", "192.0.3.1", false);
	check_admit("192.0.2.0/24", "", "::1", false);
	/* the most specific decides, whichever set it is in */
	check_admit("192.0.2.7", "192.0.2.0/24", "192.0.2.7", true);
	check_admit("192.0.2.7", "192.0.2.0/24", "192.0.2.8", false);
	check_admit("192.0.2.0/24", "192.0.2.7", "192.0.2.7", false);
	check_admit("192.0.2.0/24", "192.0.2.7", "192.0.2.8", true);
	check_admit("192.0.2.7", "192.0.2.7", "192.0.2.7", false);
	check_admit("192.0.2.0/24", "10.0.0.0/8", "172.16.0.1", false);
	check_admit("0.0.0.0/0", "0.0.0.0/0", "172.16.0.1", false);
}

static void test_bad_lists(void **state)
{
	static const struct {
		const char *list;
		unsigned line;
	} rows[] = {
		{"x", 1},
		{"192.0.2.1\n\n192.0.2.0/33", 3},
		{"192.0.2.1 192.0.2.2", 1},
		{"#\nexample.org", 2},
		{"192.0.2.1/", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct networks set = {0};
		unsigned line = 0;

		assert_int_equal(networks_add_list(&set, sv_from(rows[i].list), &line), -EINVAL);
		assert_int_equal(line, rows[i].line);
		networks_deinit(&set);
	}
}

/* A long block list: each of its networks is found, and no other. */
static void test_long_list(void **state)
{
	enum { N = 65536 };
	struct networks set = {0};
	struct network network;

	(void)state;
	assert_int_equal(network_parse(SV("10.0.0.0/30"), &network), 0);
	for (uint32_t i = 0; i < N; i++) {
		network.address.v4.sin_addr.s_addr = htonl(0x0a000000 + i * 8 * 7919 % (8 * N));
		assert_int_equal(networks_add(&set, &network), 0);
	}
	networks_seal(&set);
	for (uint32_t i = 0; i < N; i++) {
		struct address address = at("10.0.0.0");

		address.v4.sin_addr.s_addr = htonl(0x0a000000 + i * 8 + 3);
		assert_int_equal(networks_match(&set, &address), 30);
		address.v4.sin_addr.s_addr = htonl(0x0a000000 + i * 8 + 4);
		assert_int_equal(networks_match(&set, &address), -1);
	}
	networks_deinit(&set);
}

static int make(void *userdata)
{
	struct networks set = {0};
	unsigned line;
	int r = networks_add_list(&set, *(struct sv *)userdata, &line);

	networks_deinit(&set);
	return r;
}

static void test_no_memory(void **state)
{
	_cleanup_(buffer_deinit) struct buffer list = BUFFER_INIT;

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(buffer_append_sv(&list, SV("192.0.2.1\n")), 0);
	}
	struct sv view = buffer_sv(&list);

	failmalloc_each(make, &view, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contain),   cmocka_unit_test(test_match),
		cmocka_unit_test(test_families),  cmocka_unit_test(test_admit),
		cmocka_unit_test(test_bad_lists), cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
