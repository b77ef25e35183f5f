/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/host.h"
#include "tests/unit/failmalloc.h"

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_split(void **state)
{
	static const struct {
		const char *authority;
		const char *host; /* NULL: refused */
		uint16_t port;
	} rows[] = {
		{"a.example", "a.example", 0},
		{"a.example:1", "a.example", 1},
		{"a.example:65535", "a.example", 65535},
		{"A.Example:80", "A.Example", 80},
		{"my_host", "my_host", 0},
		{"192.0.2.1:80", "192.0.2.1", 80},
		{"[::1]", "[::1]", 0},
		{"[::1]:8080", "[::1]", 8080},
		{"[2001:db8::1:2]:443", "[2001:db8::1:2]", 443},
		{L63 ".example", L63 ".example", 0},
		{L63 "." L63 "." L63 "." L61, L63 "." L63 "." L63 "." L61, 0},
		{L63 "." L63 "." L63 "." L61 "a", NULL, 0},
		{L63 "a.example", NULL, 0},
		{"", NULL, 0},
		{".", NULL, 0},
		{"a.example.", NULL, 0},
		{".a.example", NULL, 0},
		{"a..example", NULL, 0},
		{"a.example:", NULL, 0},
		{"a.example:0", NULL, 0},
		{"a.example:65536", NULL, 0},
		{"a.example:99999999999999999999999", NULL, 0},
		{"a.example:x", NULL, 0},
		{"a.example:1:2", NULL, 0},
		{":80", NULL, 0},
		{"*.example", NULL, 0},
		{"a b", NULL, 0},
		{"a@b", NULL, 0},
		{"b\xc3\xbc.example", NULL, 0},
		{"::1", NULL, 0},
		{"[::1", NULL, 0},
		{"[]", NULL, 0},
		{"[1]", NULL, 0},
		{"[::1]x", NULL, 0},
		{"[::1]:", NULL, 0},
		{"[::g]", NULL, 0},
		{"[fe80::1%1]", NULL, 0},
		{"[::1]:1]", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct sv host;
		uint16_t port;

		if (host_split(sv_from(rows[i].authority), &host, &port) != !!rows[i].host) {
			fail_msg("'%s'", rows[i].authority);
		}
		if (rows[i].host) {
			assert_true(sv_eq(host, sv_from(rows[i].host)));
			assert_int_equal(port, rows[i].port);
		}
	}
	struct sv host;
	uint16_t port;

	assert_false(host_split(SV("a\0b"), &host, &port));
	assert_false(host_split(SV("[::1\0]"), &host, &port));
	assert_false(host_split(SV_EMPTY, &host, &port));
}

static void test_pattern(void **state)
{
	static const struct {
		const char *text;
		const char *name; /* NULL: refused */
		bool is_wildcard;
	} rows[] = {
		{"Chat.Example.ORG", "chat.example.org", false},
		{"*.Example.ORG", "example.org", true},
		{"*.localhost", "localhost", true},
		{"my_host", "my_host", false},
		{"192.0.2.1", "192.0.2.1", false},
		{"b\xc3\xbc"
		 "cher.example",
		 "xn--bcher-kva.example", false},
		{"*.B\xc3\x9c"
		 "CHER.example",
		 "xn--bcher-kva.example", true},
		{"[2001:0DB8:0:0::0001]", "[2001:db8::1]", false},
		{"[::]", "[::]", false},
		{"*", NULL, false},
		{"*.", NULL, false},
		{"**.example", NULL, false},
		{"a.*.example", NULL, false},
		{"*a.example", NULL, false},
		{"*.*.example", NULL, false},
		{"*.0.2.1", NULL, false},
		{"*.[::1]", NULL, false},
		{"[::12", NULL, false},
		{"1::2]", NULL, false},
		{"[::ffff:192.0.2.1]", NULL, false},
		{"example.org.", NULL, false},
		{"example.org:80", NULL, false},
		{"\xc3\x28.example", NULL, false},
		{"", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_pattern pattern = {0};
		int r = host_pattern_init(&pattern, sv_from(rows[i].text));

		if (r != (rows[i].name ? 0 : -EINVAL)) {
			fail_msg("'%s': %d", rows[i].text, r);
		}
		if (rows[i].name) {
			assert_string_equal(pattern.name, rows[i].name);
			assert_int_equal(pattern.is_wildcard, rows[i].is_wildcard);
		}
		host_pattern_deinit(&pattern);
	}
}

static void test_matches(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool matches;
	} rows[] = {
		{"a.example", "a.example", true},
		{"a.example", "A.EXAMPLE", true},
		{"a.example", "b.a.example", false},
		{"a.example", "evila.example", false},
		{"a.example", "a.example.evil.example", false},
		{"*.a.example", "b.a.example", true},
		{"*.a.example", "C.B.A.Example", true},
		{"*.a.example", "a.example", false},
		{"*.a.example", "evila.example", false},
		{"*.a.example", ".a.example", false},
		{"*.a.example", "b.a.example.evil.example", false},
		{"*.a.example", "b.a.example.", false},
		{"[::1]", "[::1]", true},
		{"[2001:DB8::1]", "[2001:db8::1]", true},
		{"[::1]", "[::2]", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_pattern pattern;

		assert_int_equal(host_pattern_init(&pattern, sv_from(rows[i].pattern)), 0);
		if (host_pattern_matches(&pattern, sv_from(rows[i].host)) != rows[i].matches) {
			fail_msg("%s %s", rows[i].pattern, rows[i].host);
		}
		host_pattern_deinit(&pattern);
	}
}

static void test_owns(void **state)
{
	static const char *const texts[] = {"chat.example.org", "*.own.example", "gateway"};
	static const struct {
		const char *authority;
		bool owned, owned_by_none;
	} rows[] = {
		{"chat.example.org", true, false},
		{"CHAT.example.org:5280", true, false},
		{"a.own.example", true, false},
		{"gateway:5280", true, false},
		{"own.example", false, false},
		{"evilown.example", false, false},
		{"chat.example.org.", false, false},
		{"chat.example.org.evil.example", false, false},
		{"rebound.evil.example:5280", false, false},
		{"127.0.0.1:5280", true, true},
		{"192.0.2.1", true, true},
		{"[::1]:5280", true, true},
		{"localhost:5280", true, true},
		{"LOCALHOST", true, true},
		{"a.localhost", true, true},
		{"evillocalhost", false, false},
		{"127.0.0.1.evil.example", false, false},
		{"127.1", false, false},
		{"", false, false},
		{"127.0.0.1:x", false, false},
	};
	struct host_list list, none;
	size_t bad;

	(void)state;
	assert_int_equal(host_list_init(&list, texts, ARRAY_LENGTH(texts), &bad), 0);
	assert_int_equal(host_list_init(&none, NULL, 0, &bad), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct sv authority = sv_from(rows[i].authority);

		if (host_list_owns(&list, authority) != rows[i].owned ||
		    host_list_owns(&none, authority) != rows[i].owned_by_none) {
			fail_msg("'%s'", rows[i].authority);
		}
	}
	host_list_deinit(&list);
	host_list_deinit(&list);
	host_list_deinit(&none);
}

static void test_bad(void **state)
{
	static const char *const texts[] = {"a.example", "b.example/", "c d"};
	struct host_list list = {0};
	size_t bad = 9;

	(void)state;
	assert_int_equal(host_list_init(&list, texts, 3, &bad), -EINVAL);
	assert_int_equal(bad, 1);
	assert_null(list.patterns);
}

static int scenario(void *userdata)
{
	static const char *const texts[] = {"a.example", "*.b.example", "[::1]"};
	struct host_list list;
	size_t bad;
	int r = host_list_init(&list, texts, 3, &bad);

	(void)userdata;
	if (r == 0) {
		host_list_deinit(&list);
	}
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),   cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_matches), cmocka_unit_test(test_owns),
		cmocka_unit_test(test_bad),     cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
