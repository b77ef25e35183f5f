/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/forwarded.h"

static const char *const networks[] = {"127.0.0.1", "::1", "10.0.0.0/8", "2001:db8:ffff::/48"};

static struct networks proxies;

static int set_up(void **state)
{
	struct network network;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(networks); i++) {
		assert_int_equal(network_parse(sv_from(networks[i]), &network), 0);
		assert_int_equal(networks_add(&proxies, &network), 0);
	}
	networks_seal(&proxies);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	networks_deinit(&proxies);
	return 0;
}

static void check(enum forwarded_notation notation, const char *peer,
		  const struct forwarded_headers *headers, const char *expected, bool is_secure)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	assert_int_equal(address_parse(sv_from(peer), 4711, &address), 0);
	struct forwarded_client client = forwarded_client(&proxies, notation, &address, headers);

	address_format(&client.address, text);
	if (strcmp(text, expected) != 0 || client.is_secure != is_secure) {
		fail_msg("for '%.*s' proto '%.*s' forwarded '%.*s': got %s %d, expected %s %d",
			 SV_ARGS(headers->x_for), SV_ARGS(headers->x_proto),
			 SV_ARGS(headers->forwarded), text, client.is_secure, expected, is_secure);
	}
}

static void check_x(const char *peer, const char *x_for, const char *x_proto, const char *expected,
		    bool is_secure)
{
	check(FORWARDED_X, peer,
	      &(struct forwarded_headers){.x_for = sv_from(x_for),
					  .x_proto = sv_from(x_proto),
					  .forwarded = SV("for=203.0.113.66;proto=https")},
	      expected, is_secure);
}

static void check_rfc(const char *peer, const char *forwarded, const char *expected, bool is_secure)
{
	check(FORWARDED_RFC7239, peer,
	      &(struct forwarded_headers){.x_for = SV("203.0.113.66"),
					  .x_proto = SV("https"),
					  .forwarded = sv_from(forwarded)},
	      expected, is_secure);
}

static void test_x_address(void **state)
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
		/* half a pair of quotes hides nothing */
		{"127.0.0.1", "\", 198.51.100.1", "198.51.100.1:0"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check_x(rows[i].peer, rows[i].forwarded, NULL, rows[i].client, false);
		check_x(rows[i].peer, rows[i].forwarded, "https", rows[i].client,
			strcmp(rows[i].peer, "192.0.2.1") != 0 &&
				strcmp(rows[i].peer, "11.0.0.1") != 0);
	}
}

/* Address and scheme are those of one hop. */
static void test_x_scheme(void **state)
{
	static const struct {
		const char *x_for;
		const char *x_proto;
		bool is_secure;
	} rows[] = {
		{NULL, "https", true},
		{NULL, "HTTPS", true},
		{NULL, "http", false},
		{NULL, "", false},
		{NULL, "wss", false},
		{NULL, "https,", false},
		{NULL, "http, https", true},
		{NULL, "https, http", false},
		{"198.51.100.1", "http, https", true},
		{"198.51.100.1", "https, http", false},
		/* two proxies, each of which added to both lists */
		{"198.51.100.1, 10.1.1.1", "https, http", true},
		{"198.51.100.1, 10.1.1.1", "http, https", false},
		{"203.0.113.9, 198.51.100.1, 10.1.1.1", "https, http, http", false},
		{"203.0.113.9, 198.51.100.1, 10.1.1.1", "http, https, http", true},
		/* the second one overwrites the scheme, or leaves it alone */
		{"198.51.100.1, 10.1.1.1", "https", true},
		{"198.51.100.1, 10.1.1.1", "http", false},
		{"198.51.100.1, 10.1.1.1, 10.1.1.2", "https", true},
		/* lists that do not fit: no hop of the client's */
		{"198.51.100.1, 10.1.1.1, 10.1.1.2", "https, https", false},
		/* a chain of proxies only: the hop that the outermost one began */
		{"10.1.1.1, 10.1.1.2", "https, http", true},
		{"10.1.1.1, 10.1.1.2", "http, https", false},
		{"10.1.1.1, 10.1.1.2", "http, https, http", true},
		/* quotes say nothing there */
		{"198.51.100.1, 10.1.1.1", "https, \"a, b\"", false},
		{"198.51.100.1, 10.1.1.1", "\"a, https, b\"", true},
		/* the client cannot be told, its hop can */
		{"unknown, 10.1.1.1", "https, http", true},
		{"unknown, 10.1.1.1", "http, https", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct address peer;

		assert_int_equal(address_parse(SV("127.0.0.1"), 1, &peer), 0);
		struct forwarded_client client = forwarded_client(
			&proxies, FORWARDED_X, &peer,
			&(struct forwarded_headers){.x_for = sv_from(rows[i].x_for),
						    .x_proto = sv_from(rows[i].x_proto)});

		if (client.is_secure != rows[i].is_secure) {
			fail_msg("for '%s' proto '%s': got %d", rows[i].x_for ? rows[i].x_for : "",
				 rows[i].x_proto, client.is_secure);
		}
	}
}

static void test_rfc7239(void **state)
{
	(void)state;
	check_rfc("192.0.2.1", "for=198.51.100.1;proto=https", "192.0.2.1:4711", false);
	check_rfc("127.0.0.1", NULL, "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "for=198.51.100.1", "198.51.100.1:0", false);
	check_rfc("127.0.0.1", "For=\"198.51.100.1:4711\"", "198.51.100.1:0", false);
	check_rfc("127.0.0.1", "for=\"[2001:db8::7]:4711\";proto=https", "[2001:db8::7]:0", true);
	check_rfc("127.0.0.1", "FOR=\"[2001:db8::7]\"", "[2001:db8::7]:0", false);
	check_rfc("127.0.0.1", "by=203.0.113.43; Proto=HTTPS ;for=198.51.100.1;host=a;",
		  "198.51.100.1:0", true);
	check_rfc("127.0.0.1", "proto=https", "127.0.0.1:4711", true);
	/* hops: RFC 7239, 7.1 */
	check_rfc("127.0.0.1", "for=203.0.113.9, for=198.51.100.1", "198.51.100.1:0", false);
	check_rfc("127.0.0.1", "for=198.51.100.1;proto=https, for=10.1.1.1;proto=http",
		  "198.51.100.1:0", true);
	check_rfc("127.0.0.1", "for=198.51.100.1;proto=http, for=10.1.1.1;proto=https",
		  "198.51.100.1:0", false);
	check_rfc("127.0.0.1", "for=203.0.113.9;proto=https, for=198.51.100.1, for=10.1.1.1",
		  "198.51.100.1:0", false);
	/* who does not want to be named: section 6 */
	check_rfc("127.0.0.1", "for=unknown;proto=https", "127.0.0.1:4711", true);
	check_rfc("127.0.0.1", "for=_hidden, for=10.1.1.1", "10.1.1.1:0", false);
	check_rfc("127.0.0.1", "for=\"_SEVKISEK\"", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "for=\"unknown:80\"", "127.0.0.1:4711", false);
	/* quoted commas and semicolons separate nothing */
	check_rfc("127.0.0.1", "for=203.0.113.9, for=198.51.100.1;host=\"a, for=203.0.113.8\"",
		  "198.51.100.1:0", false);
	check_rfc("127.0.0.1", "for=198.51.100.1;x=\"\\\", for=203.0.113.8\"", "198.51.100.1:0",
		  false);
	check_rfc("127.0.0.1", "\", for=198.51.100.1", "198.51.100.1:0", false);
	check_rfc("127.0.0.1", "x=\"\\, for=198.51.100.1;proto=https", "198.51.100.1:0", true);
	/* ambiguous or broken */
	check_rfc("127.0.0.1", "for=203.0.113.9;for=198.51.100.1;proto=https", "127.0.0.1:4711",
		  false);
	check_rfc("127.0.0.1", "for", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "for=", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "for=\"", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", ",", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "for=198.51.100.1,", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "for=fe80::1%lo", "127.0.0.1:4711", false);
	check_rfc("127.0.0.1", "198.51.100.1", "127.0.0.1:4711", false);
}

/* Nothing behind the view is read. */
static void test_view_ends(void **state)
{
	const struct forwarded_headers headers = {.x_for = {"192.0.2.12", 9}};
	struct address peer;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(address_parse(SV("127.0.0.1"), 1, &peer), 0);
	struct forwarded_client client = forwarded_client(&proxies, FORWARDED_X, &peer, &headers);

	assert_string_equal(address_format(&client.address, text), "192.0.2.1:0");
}

static bool is_ignored(enum forwarded_notation notation, const char *peer,
		       struct forwarded_headers headers)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(peer), 1, &address), 0);
	return forwarded_client(&proxies, notation, &address, &headers).is_ignored;
}

static void test_ignored(void **state)
{
	const struct forwarded_headers none = {0};
	const struct forwarded_headers x_for = {.x_for = SV("192.0.2.9")};
	const struct forwarded_headers x_proto = {.x_proto = SV("https")};
	const struct forwarded_headers rfc = {.forwarded = SV("for=192.0.2.9")};

	(void)state;
	assert_false(is_ignored(FORWARDED_X, "192.0.2.1", none));
	assert_true(is_ignored(FORWARDED_X, "192.0.2.1", x_for));
	assert_true(is_ignored(FORWARDED_X, "192.0.2.1", x_proto));
	assert_false(is_ignored(FORWARDED_X, "192.0.2.1", rfc));
	assert_true(is_ignored(FORWARDED_RFC7239, "192.0.2.1", rfc));
	assert_false(is_ignored(FORWARDED_RFC7239, "192.0.2.1", x_for));
	assert_false(is_ignored(FORWARDED_X, "127.0.0.1", x_for));
	assert_false(is_ignored(FORWARDED_RFC7239, "127.0.0.1", rfc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x_address), cmocka_unit_test(test_x_scheme),
		cmocka_unit_test(test_rfc7239),   cmocka_unit_test(test_view_ends),
		cmocka_unit_test(test_ignored),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
