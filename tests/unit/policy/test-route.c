/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "policy/route.h"

static const char *const texts[] = {"xmpp.example.org:5222", "BÜCHER.example:5223",
				    "192.0.2.1:5222", "[2001:db8::1]:5222"};

struct row {
	const char *text;
	int result;
};

static void expect_results(const struct routes *routes, const char *domain, const struct row *rows,
			   size_t n)
{
	struct redirect destination;

	for (size_t i = 0; i < n; i++) {
		int result = routes_find(routes, sv_from(rows[i].text), domain, &destination);

		if (result != rows[i].result) {
			fail_msg("%s to %s: got %d", rows[i].text, domain, result);
		}
	}
}

/* XEP-0124, "Session Creation Request": `route`. */
static void test_routes(void **state)
{
	static const struct row rows[] = {
		{"xmpp:xmpp.example.org:5222", ROUTE_LISTED},
		{"xmpp:XMPP.example.org.:5222", ROUTE_LISTED},
		{"xmpp:xn--bcher-kva.example:5223", ROUTE_LISTED},
		{"xmpp:192.0.2.1:5222", ROUTE_LISTED},
		{"xmpp:[2001:db8:0::1]:5222", ROUTE_LISTED},
		/* Another port, host, or address. */
		{"xmpp:xmpp.example.org:5223", ROUTE_E_REFUSED},
		{"xmpp:example.org:5222", ROUTE_E_REFUSED},
		{"xmpp:evilxmpp.example.org:5222", ROUTE_E_REFUSED},
		{"xmpp:xmpp.example.org.evil:5222", ROUTE_E_REFUSED},
		{"xmpp:192.0.2.2:5222", ROUTE_E_REFUSED},
		{"xmpp:127.0.0.1:5222", ROUTE_E_REFUSED},
		/* Not a route. */
		{"", ROUTE_E_MALFORMED},
		{"xmpp:", ROUTE_E_MALFORMED},
		{"xmpp.example.org:5222", ROUTE_E_MALFORMED},
		{"XMPP:xmpp.example.org:5222", ROUTE_E_MALFORMED},
		{"http:xmpp.example.org:5222", ROUTE_E_MALFORMED},
		{"xmpp:xmpp.example.org", ROUTE_E_MALFORMED},
		{"xmpp:xmpp.example.org:", ROUTE_E_MALFORMED},
		{"xmpp:xmpp.example.org:0", ROUTE_E_MALFORMED},
		{"xmpp:xmpp.example.org:65536", ROUTE_E_MALFORMED},
		{"xmpp:xmpp.example.org:5222/x", ROUTE_E_MALFORMED},
		{"xmpp://xmpp.example.org:5222", ROUTE_E_MALFORMED},
		{"xmpp:xmpp.example.org'x='1:5222", ROUTE_E_MALFORMED},
	};
	struct routes routes;
	struct redirect destination;
	size_t bad;

	(void)state;
	assert_int_equal(routes_init(&routes, texts, 4, &bad), 0);
	expect_results(&routes, "other.example", rows, ARRAY_LENGTH(rows));
	assert_int_equal(routes_find(&routes, SV("xmpp:xmpp.example.org:5222"), "other.example",
				     &destination),
			 ROUTE_LISTED);
	assert_string_equal(destination.host, "xmpp.example.org");
	assert_int_equal(destination.port, 5222);
	/* If listed, the domain's own name is a destination like any other. */
	assert_int_equal(routes_find(&routes, SV("xmpp:xmpp.example.org:5222"), "xmpp.example.org",
				     &destination),
			 ROUTE_LISTED);
	routes_deinit(&routes);
	assert_int_equal(routes.n, 0);
}

/* Names the domain that the client wants to reach, and nothing else. */
static void test_default(void **state)
{
	static const struct row rows[] = {
		{"xmpp:bücher.example:5222", ROUTE_DEFAULT},
		{"xmpp:BÜCHER.Example:5222", ROUTE_DEFAULT},
		{"xmpp:xn--bcher-kva.example:5222", ROUTE_DEFAULT},
		{"xmpp:XN--BCHER-KVA.EXAMPLE.:5222", ROUTE_DEFAULT},
		{"xmpp:bücher.example.:05222", ROUTE_DEFAULT},
		{"xmpp:bücher.example", ROUTE_DEFAULT},
		{"xmpp:bücher.example:", ROUTE_DEFAULT},
		{"xmpp:bücher.example:0", ROUTE_DEFAULT},
		{"xmpp: bücher.example:5222 ", ROUTE_DEFAULT},
		/* Another port of the same host: another service may listen there. */
		{"xmpp:bücher.example:5221", ROUTE_E_REFUSED},
		{"xmpp:bücher.example:5223", ROUTE_E_REFUSED},
		{"xmpp:bücher.example:443", ROUTE_E_REFUSED},
		{"xmpp:bücher.example:65535", ROUTE_E_REFUSED},
		{"xmpp:bücher.example:65536", ROUTE_E_MALFORMED},
		/* 5222 modulo 2^16. */
		{"xmpp:bücher.example:70758", ROUTE_E_MALFORMED},
		{"xmpp:bücher.example:-1", ROUTE_E_MALFORMED},
		{"xmpp:bücher.example:5222:5222", ROUTE_E_MALFORMED},
		{"xmpp:bücher.example:x", ROUTE_E_MALFORMED},
		/* Other hosts, and look-alikes. */
		{"xmpp:bucher.example:5222", ROUTE_E_REFUSED},
		{"xmpp:x.bücher.example:5222", ROUTE_E_REFUSED},
		{"xmpp:evil-bücher.example:5222", ROUTE_E_REFUSED},
		{"xmpp:bücher.example.evil:5222", ROUTE_E_REFUSED},
		{"xmpp:localhost:5222", ROUTE_E_REFUSED},
		{"xmpp:127.0.0.1:5222", ROUTE_E_REFUSED},
		{"xmpp:[::1]:5222", ROUTE_E_REFUSED},
		{"xmpp:[::ffff:127.0.0.1]:5222", ROUTE_E_REFUSED},
		{"xmpp:::1:5222", ROUTE_E_MALFORMED},
		{"xmpp:", ROUTE_E_MALFORMED},
		{"xmpp::5222", ROUTE_E_MALFORMED},
		{"xmpp:bücher.example@127.0.0.1:5222", ROUTE_E_MALFORMED},
		{"xmpp:bücher.example/127.0.0.1:5222", ROUTE_E_MALFORMED},
		{"xmpp:bücher..example:5222", ROUTE_E_MALFORMED},
		{"xmpps:bücher.example:5222", ROUTE_E_MALFORMED},
		{"http:bücher.example:5222", ROUTE_E_MALFORMED},
		{"bücher.example:5222", ROUTE_E_MALFORMED},
		{"", ROUTE_E_MALFORMED},
	};
	const struct routes none = {NULL, 0};
	struct routes routes;
	size_t bad;

	(void)state;
	expect_results(&none, "xn--bcher-kva.example", rows, ARRAY_LENGTH(rows));
	/* A list of other destinations does not change that. */
	assert_int_equal(routes_init(&routes, texts, 1, &bad), 0);
	expect_results(&routes, "xn--bcher-kva.example", rows, ARRAY_LENGTH(rows));
	routes_deinit(&routes);
}

/* Names that only the operator may give a domain are its default, too, but no other's. */
static void test_default_of_hosts(void **state)
{
	static const struct row of_chat[] = {
		{"xmpp:chat:5222", ROUTE_DEFAULT},       {"xmpp:CHAT.", ROUTE_DEFAULT},
		{"xmpp:chat:5223", ROUTE_E_MALFORMED},   {"xmpp:chat2:5222", ROUTE_E_MALFORMED},
		{"xmpp:a_b.example", ROUTE_E_MALFORMED},
	};
	static const struct row of_v4[] = {
		{"xmpp:192.0.2.1:5222", ROUTE_DEFAULT},
		{"xmpp:192.0.2.1", ROUTE_DEFAULT},
		{"xmpp:192.0.2.1:5223", ROUTE_E_REFUSED},
		{"xmpp:192.0.2.2:5222", ROUTE_E_REFUSED},
	};
	static const struct row of_v6[] = {
		{"xmpp:[2001:DB8::0:1]:5222", ROUTE_DEFAULT},
		{"xmpp:[2001:db8::1]", ROUTE_DEFAULT},
		{"xmpp:[2001:db8::1]x5222", ROUTE_E_MALFORMED},
		{"xmpp:[2001:db8::1", ROUTE_E_MALFORMED},
		{"xmpp:2001:db8::1", ROUTE_E_MALFORMED},
		{"xmpp:[2001:db8::2]:5222", ROUTE_E_REFUSED},
	};
	const struct routes none = {NULL, 0};

	(void)state;
	expect_results(&none, "chat", of_chat, ARRAY_LENGTH(of_chat));
	expect_results(&none, "192.0.2.1", of_v4, ARRAY_LENGTH(of_v4));
	expect_results(&none, "[2001:db8::1]", of_v6, ARRAY_LENGTH(of_v6));
}

static void test_none_by_default(void **state)
{
	struct routes routes = {NULL, 0};
	struct redirect destination;

	(void)state;
	assert_int_equal(
		routes_find(&routes, SV("xmpp:xmpp.example.org:5222"), "example.org", &destination),
		ROUTE_E_REFUSED);
}

static void test_bad_list(void **state)
{
	static const char *const bad_texts[] = {"a.org:1", "a.org"};
	struct routes routes;
	size_t bad = 9;

	(void)state;
	assert_int_equal(routes_init(&routes, bad_texts, 2, &bad), -EINVAL);
	assert_int_equal(bad, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),           cmocka_unit_test(test_default),
		cmocka_unit_test(test_default_of_hosts), cmocka_unit_test(test_none_by_default),
		cmocka_unit_test(test_bad_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
