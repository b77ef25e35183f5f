/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/client.h"

static const char *const networks[] = {"127.0.0.1", "::1", "10.0.0.0/8", "2001:db8:ffff::/48"};

static void check(const struct client_proxies *proxies, const char *peer, const char *forwarded,
		  const char *expected)
{
	struct address address;
	struct address client;
	char text[ADDRESS_TEXT_MAX];

	assert_int_equal(address_parse(sv_from(peer), 4711, &address), 0);
	client = client_address(proxies, &address, sv_from(forwarded));
	address_format(&client, text);
	if (strcmp(text, expected) != 0) {
		fail_msg("peer %s, '%s': got %s, expected %s", peer, forwarded ? forwarded : "NULL",
			 text, expected);
	}
}

static void test_client(void **state)
{
	static const struct {
		const char *peer;
		const char *forwarded;
		const char *client;
	} rows[] = {
		/* not a proxy: its header is ignored */
		{"192.0.2.1", "198.51.100.1", "192.0.2.1:4711"},
		{"192.0.2.1", NULL, "192.0.2.1:4711"},
		{"11.0.0.1", "198.51.100.1", "11.0.0.1:4711"},
		/* a proxy without the header */
		{"127.0.0.1", NULL, "127.0.0.1:4711"},
		{"127.0.0.1", "", "127.0.0.1:4711"},
		{"127.0.0.1", " ", "127.0.0.1:4711"},
		{"::1", NULL, "[::1]:4711"},
		/* one proxy; the client may have made up what is left of the rightmost stranger */
		{"127.0.0.1", "198.51.100.1", "198.51.100.1:0"},
		{"::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1:0"},
		{"127.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1:0"},
		{"127.0.0.1", "127.0.0.1,198.51.100.1", "198.51.100.1:0"},
		{"127.0.0.1", "10.0.0.1, 198.51.100.1", "198.51.100.1:0"},
		{"127.0.0.1", "garbage, 198.51.100.1", "198.51.100.1:0"},
		/* chains of proxies */
		{"127.0.0.1", "198.51.100.1, 10.1.1.1", "198.51.100.1:0"},
		{"127.0.0.1", "203.0.113.9 ,198.51.100.1\t,10.1.1.1,10.2.2.2", "198.51.100.1:0"},
		{"127.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1:0"},
		{"127.0.0.1", "10.1.1.1", "10.1.1.1:0"},
		/* IPv6, ports, mapped */
		{"::1", "2001:db8::7", "[2001:db8::7]:0"},
		{"::1", "[2001:db8::7]:1234", "[2001:db8::7]:0"},
		{"::1", "[2001:db8::7]", "[2001:db8::7]:0"},
		{"::1", "198.51.100.1:1234", "198.51.100.1:0"},
		{"::1", "::ffff:198.51.100.1", "198.51.100.1:0"},
		{"::1", "198.51.100.1, ::ffff:10.1.1.1", "198.51.100.1:0"},
		{"::1", "2001:db8::7, 2001:db8:ffff::1", "[2001:db8::7]:0"},
		/* an item that is not an address ends the search at the last proxy found */
		{"127.0.0.1", "unknown", "127.0.0.1:4711"},
		{"127.0.0.1", "198.51.100.1, unknown", "127.0.0.1:4711"},
		{"127.0.0.1", "198.51.100.1, unknown, 10.1.1.1", "10.1.1.1:0"},
		{"127.0.0.1", "198.51.100.1,", "127.0.0.1:4711"},
		{"127.0.0.1", "198.51.100.1,,10.1.1.1", "10.1.1.1:0"},
		{"127.0.0.1", ",198.51.100.1", "198.51.100.1:0"},
		{"127.0.0.1", "198.51.100.1 10.1.1.1", "127.0.0.1:4711"},
		{"127.0.0.1", "\"198.51.100.1\"", "127.0.0.1:4711"},
		{"127.0.0.1", "198.51.100.1:x", "127.0.0.1:4711"},
		{"127.0.0.1", "fe80::1%lo", "127.0.0.1:4711"},
		{"127.0.0.1", "client.example.org", "127.0.0.1:4711"},
	};
	struct client_proxies proxies;
	size_t bad;

	(void)state;
	assert_int_equal(client_proxies_init(&proxies, networks, ARRAY_LENGTH(networks), &bad), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check(&proxies, rows[i].peer, rows[i].forwarded, rows[i].client);
	}
	client_proxies_deinit(&proxies);
}

static void test_nobody_is_trusted_by_default(void **state)
{
	struct client_proxies proxies;
	size_t bad;

	(void)state;
	assert_int_equal(client_proxies_init(&proxies, NULL, 0, &bad), 0);
	check(&proxies, "127.0.0.1", "198.51.100.1", "127.0.0.1:4711");
	check(&proxies, "::1", "198.51.100.1", "[::1]:4711");
	client_proxies_deinit(&proxies);
	client_proxies_deinit(&proxies);
}

static void test_header_ends_where_its_view_ends(void **state)
{
	struct client_proxies proxies;
	struct address peer;
	struct address client;
	char text[ADDRESS_TEXT_MAX];
	size_t bad;

	(void)state;
	assert_int_equal(client_proxies_init(&proxies, networks, 1, &bad), 0);
	assert_int_equal(address_parse(SV("127.0.0.1:1"), -1, &peer), 0);
	client = client_address(&proxies, &peer, (struct sv){"192.0.2.12", 9});
	assert_string_equal(address_format(&client, text), "192.0.2.1:0");
	client_proxies_deinit(&proxies);
}

static void test_secure(void **state)
{
	static const struct {
		const char *peer, *proto;
		bool secure;
	} rows[] = {
		{"127.0.0.1:1", "https", true},       {"127.0.0.1:1", "HTTPS", true},
		{"127.0.0.1:1", "http, https", true}, {"127.0.0.1:1", "https, http", false},
		{"127.0.0.1:1", "http", false},       {"127.0.0.1:1", "", false},
		{"127.0.0.1:1", "httpsx", false},     {"192.0.2.1:1", "https", false},
	};
	struct client_proxies proxies;
	struct address peer;
	size_t bad;

	(void)state;
	assert_int_equal(client_proxies_init(&proxies, networks, 1, &bad), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(address_parse(sv_from(rows[i].peer), -1, &peer), 0);
		assert_int_equal(client_is_secure(&proxies, &peer, sv_from(rows[i].proto)),
				 rows[i].secure);
	}
	assert_int_equal(address_parse(SV("127.0.0.1:1"), -1, &peer), 0);
	assert_false(client_is_secure(&proxies, &peer, SV_EMPTY));
	client_proxies_deinit(&proxies);
}

static void test_same(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::1]:1", true},
		{"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1:1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct address a;
		struct address b;

		assert_int_equal(address_parse(sv_from(rows[i].a), -1, &a), 0);
		assert_int_equal(address_parse(sv_from(rows[i].b), -1, &b), 0);
		assert_int_equal(client_is_same(&a, &b), rows[i].same);
	}
}

static void test_bad_network(void **state)
{
	static const char *const texts[] = {"10.0.0.0/8", "::1", "10.0.0.0/33", "x"};
	struct client_proxies proxies = {0};
	size_t bad = 99;

	(void)state;
	assert_int_equal(client_proxies_init(&proxies, texts, 4, &bad), -EINVAL);
	assert_int_equal(bad, 2);
	assert_null(proxies.networks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_nobody_is_trusted_by_default),
		cmocka_unit_test(test_header_ends_where_its_view_ends),
		cmocka_unit_test(test_secure),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_bad_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
