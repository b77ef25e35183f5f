/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "policy/route.h"

static const char *const texts[] = {"xmpp.example.org:5222", "BÜCHER.example:5223", "192.0.2.1:5222", "[2001:db8::1]:5222"};

/* XEP-0124, "Session Creation Request": `route`. */
static void test_routes(void **state)
{
	static const struct {
		const char *text;
		int r;
	} rows[] = {
		{"xmpp:xmpp.example.org:5222", 0},
		{"xmpp:XMPP.example.org.:5222", 0},
		{"xmpp:xn--bcher-kva.example:5223", 0},
		{"xmpp:192.0.2.1:5222", 0},
		{"xmpp:[2001:db8:0::1]:5222", 0},
		/* Another port, host, or address. */
		{"xmpp:xmpp.example.org:5223", -EACCES},
		{"xmpp:example.org:5222", -EACCES},
		{"xmpp:evilxmpp.example.org:5222", -EACCES},
		{"xmpp:xmpp.example.org.evil:5222", -EACCES},
		{"xmpp:192.0.2.2:5222", -EACCES},
		{"xmpp:127.0.0.1:5222", -EACCES},
		/* No route. */
		{"", -EINVAL},
		{"xmpp:", -EINVAL},
		{"xmpp.example.org:5222", -EINVAL},
		{"XMPP:xmpp.example.org:5222", -EINVAL},
		{"http:xmpp.example.org:5222", -EINVAL},
		{"xmpp:xmpp.example.org", -EINVAL},
		{"xmpp:xmpp.example.org:", -EINVAL},
		{"xmpp:xmpp.example.org:0", -EINVAL},
		{"xmpp:xmpp.example.org:65536", -EINVAL},
		{"xmpp:xmpp.example.org:5222/x", -EINVAL},
		{"xmpp://xmpp.example.org:5222", -EINVAL},
		{"xmpp:xmpp.example.org'x='1:5222", -EINVAL},
	};
	struct routes routes;
	struct redirect place;
	size_t bad;

	(void)state;
	assert_int_equal(routes_init(&routes, texts, 4, &bad), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int r = routes_find(&routes, sv_from(rows[i].text), &place);

		if (r != rows[i].r) {
			fail_msg("%s: got %d", rows[i].text, r);
		}
	}
	assert_int_equal(routes_find(&routes, SV("xmpp:xmpp.example.org:5222"), &place), 0);
	assert_string_equal(place.host, "xmpp.example.org");
	assert_int_equal(place.port, 5222);
	routes_deinit(&routes);
}

static void test_none_by_default(void **state)
{
	struct routes routes = {NULL, 0};
	struct redirect place;

	(void)state;
	assert_int_equal(routes_find(&routes, SV("xmpp:xmpp.example.org:5222"), &place), -EACCES);
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
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_none_by_default),
		cmocka_unit_test(test_bad_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
