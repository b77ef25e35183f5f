/* SPDX-License-Identifier: MIT */
/* The grammar of targets and hosts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/http/target.h"

static void test_bytes(void **state)
{
	static const char tokens[] = "!#$%&'*+-.^_`|~0123456789"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	(void)state;
	for (int c = 0; c <= 0xff; c++) {
		assert_int_equal(http_is_token_byte((unsigned char)c), c && strchr(tokens, c));
		assert_int_equal(http_is_value_byte((unsigned char)c),
				 c == '\t' || (c >= ' ' && c != 0x7f));
	}
}

static void test_hosts(void **state)
{
	static const char *const good[] = {
		"",
		"a",
		"a.test",
		"a.",
		"a_b",
		"a:",
		"a:0",
		"a:65535",
		"127.0.0.1",
		"%41b",
		"a;b=c!$&'()*+~",
		"[::1]",
		"[::1]:80",
		"[2001:DB8::1]:",
		"[v1.a:b]",
		"[VF.a]",
		"[::ffff:192.0.2.1]",
	};
	static const char *const bad[] = {
		":65536",
		"a:65536",
		"a:b",
		"a:+1",
		"a:1:2",
		"::1",
		"[]",
		"[",
		"]",
		"[::1",
		"[::1]x",
		"[::1]:x",
		"[g]",
		"[::1%25eth0]",
		"[v.a]",
		"[v1.]",
		"[v1]",
		"[v1.%41]",
		"a[::1]",
		"a]",
		"%",
		"%4",
		"%zz",
		"a b",
		"a/b",
		"u@a",
		"a?b",
		"a#b",
		"a,b",
		"\"a\"",
		"a\\b",
		"\xc3\xa4",
		"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		if (!http_host_is_valid(sv_from(good[i]))) {
			fail_msg("refused: %s", good[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		if (http_host_is_valid(sv_from(bad[i]))) {
			fail_msg("accepted: %s", bad[i]);
		}
	}
	assert_false(http_host_is_valid((struct sv){"a\0", 2}));
}

static void test_tunnels(void **state)
{
	(void)state;
	assert_true(http_target_is_tunnel(SV("a:1")));
	assert_true(http_target_is_tunnel(SV("[::1]:443")));
	assert_false(http_target_is_tunnel(SV("a")));
	assert_false(http_target_is_tunnel(SV("a:")));
	assert_false(http_target_is_tunnel(SV(":1")));
	assert_false(http_target_is_tunnel(SV("[::1]")));
	assert_false(http_target_is_tunnel(SV("/a:1")));
	assert_false(http_target_is_tunnel(SV("")));
}

static void assert_unescaped(const char *path, struct sv expected)
{
	char text[64];
	size_t n = http_path_unescape(sv_from(path), text);

	assert_true(sv_eq((struct sv){text, n}, expected));
}

static void test_escapes(void **state)
{
	(void)state;
	assert_unescaped("", SV(""));
	assert_unescaped("/a", SV("/a"));
	assert_unescaped("/%61%2D%2d%252d", SV("/a--%2d"));
	assert_unescaped("/%00%ff", SV("/\0\xff"));
	assert_true(http_escapes_are_valid(SV("/a%00%fF")));
	assert_false(http_escapes_are_valid(SV("/a%")));
	assert_false(http_escapes_are_valid(SV("/a%0")));
	assert_false(http_escapes_are_valid(SV("/a%0g")));
	assert_false(http_escapes_are_valid(SV("/a%g0")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
