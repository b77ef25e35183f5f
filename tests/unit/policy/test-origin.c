/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/origin.h"
#include "tests/unit/failmalloc.h"

static struct origin_list made(const char *const *texts, size_t n)
{
	struct origin_list list;
	size_t bad = 99;

	if (origin_list_init(&list, texts, n, &bad) != 0) {
		fail_msg("refused: '%s'", texts[bad]);
	}
	return list;
}

#define MADE(...)                                \
	made((const char *const[]){__VA_ARGS__}, \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void test_normalised(void **state)
{
	static const struct {
		const char *text;
		const char *scheme, *name;
		uint16_t port;
		bool is_wildcard, allows_any_port;
	} rows[] = {
		{"https://chat.example.org", "https", "chat.example.org", 0, false, false},
		{"HTTPS://Chat.Example.ORG", "https", "chat.example.org", 0, false, false},
		{"https://chat.example.org:443", "https", "chat.example.org", 0, false, false},
		{"http://chat.example.org:80", "http", "chat.example.org", 0, false, false},
		{"https://chat.example.org:80", "https", "chat.example.org", 80, false, false},
		{"http://chat.example.org:443", "http", "chat.example.org", 443, false, false},
		{"http://localhost:8080", "http", "localhost", 8080, false, false},
		{"http://localhost:*", "http", "localhost", 0, false, true},
		{"http://127.0.0.1:65535", "http", "127.0.0.1", 65535, false, false},
		{"http://[::1]:8080", "http", "[::1]", 8080, false, false},
		{"http://[::1]:*", "http", "[::1]", 0, false, true},
		{"http://[2001:DB8:0::1]", "http", "[2001:db8::1]", 0, false, false},
		{"https://xn--bcher-kva.example", "https", "xn--bcher-kva.example", 0, false,
		 false},
		{"https://b\xc3\xbc"
		 "cher.example",
		 "https", "xn--bcher-kva.example", 0, false, false},
		{"moz-extension://1b2c-3d", "moz-extension", "1b2c-3d", 0, false, false},
		{"capacitor://localhost", "capacitor", "localhost", 0, false, false},
		{"http://my_host", "http", "my_host", 0, false, false},
		{"https://*.example.org", "https", "example.org", 0, true, false},
		{"https://*.Example.org:8443", "https", "example.org", 8443, true, false},
		{"http://*.localhost:*", "http", "localhost", 0, true, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct origin_list list = MADE(rows[i].text);

		assert_false(list.allows_any);
		assert_int_equal(list.n_patterns, 1);
		assert_string_equal(list.patterns[0].scheme, rows[i].scheme);
		assert_string_equal(list.patterns[0].host.name, rows[i].name);
		assert_int_equal(list.patterns[0].host.is_wildcard, rows[i].is_wildcard);
		assert_int_equal(list.patterns[0].port, rows[i].port);
		assert_int_equal(list.patterns[0].allows_any_port, rows[i].allows_any_port);
		origin_list_deinit(&list);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"null",
		"*.example.org",
		"https://*",
		"https://*:443",
		"https://*.",
		"https://*.*.example.org",
		"https://a.*.example.org",
		"https://*a.example.org",
		"https://*.0.0.1",
		"https://*.[::1]",
		"*://example.org",
		"https://example.org:**",
		"https://example.org:8*",
		"https://example.org.",
		"https://*.example.org.",
		"https://.example.org",
		"https://a..example.org",
		"https://[::ffff:192.0.2.1]",
		"https://",
		"://example.org",
		"example.org",
		"https:example.org",
		"https:/example.org",
		"https://example.org/",
		"https://example.org/chat",
		"https://example.org?x",
		"https://example.org#x",
		"https://user@example.org",
		"https://example.org:",
		"https://example.org:0",
		"https://example.org:65536",
		"https://example.org:x",
		"https://example.org:1:2",
		"https://exa mple.org",
		" https://example.org",
		"https://example.org ",
		"https://example.org\n",
		"https://\xc3\x28.example",
		"https://:443",
		"https://[::1",
		"https://::1",
		"https://[]",
		"https://[1]",
		"https://[::1]x",
		"https://[::1]:",
		"1http://example.org",
		"-http://example.org",
		"ht tp://example.org",
		"https://a\"b",
		"https://a,b",
		"**",
		"* ",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		const char *const list_texts[] = {"https://example.org", texts[i], "https://a/"};
		struct origin_list list = {0};
		size_t bad = 99;

		if (origin_list_init(&list, list_texts, 3, &bad) != -EINVAL) {
			fail_msg("taken: '%s'", texts[i]);
		}
		assert_int_equal(bad, 1);
		assert_null(list.patterns);
	}
}

static void test_length(void **state)
{
	static const char end[] = "://example.org";
	char text[400];
	const char *const texts[] = {text};
	struct origin_list list;
	size_t bad;

	(void)state;
	memset(text, 's', sizeof(text));
	memcpy(text + ORIGIN_LENGTH_MAX - strlen(end), end, sizeof(end));
	assert_int_equal(strlen(text), ORIGIN_LENGTH_MAX);
	assert_int_equal(origin_list_init(&list, texts, 1, &bad), 0);
	origin_list_deinit(&list);
	memcpy(text + ORIGIN_LENGTH_MAX, "a", 2);
	assert_int_equal(origin_list_init(&list, texts, 1, &bad), -EINVAL);
}

static void check(const struct origin_list *list, const char *origin, enum origin_verdict verdict,
		  const char *text)
{
	char got[ORIGIN_LENGTH_MAX + 1];

	if (origin_list_judge(list, sv_from(origin), got) != verdict || strcmp(got, text) != 0) {
		fail_msg("%s: %s", origin ? origin : "(none)", got);
	}
}

static void test_any(void **state)
{
	struct origin_list list = MADE("https://a.example", "*");

	(void)state;
	assert_true(list.allows_any);
	assert_true(origin_list_varies(&list));
	check(&list, "https://evil.example", ORIGIN_ANY, "");
	check(&list, "null", ORIGIN_ANY, "");
	check(&list, "junk", ORIGIN_ANY, "");
	check(&list, "https://a.example", ORIGIN_LISTED, "https://a.example");
	check(&list, NULL, ORIGIN_ABSENT, "");
	check(&list, "", ORIGIN_ABSENT, "");
	origin_list_deinit(&list);
	assert_false(list.allows_any);
	list = MADE("*");
	assert_false(origin_list_varies(&list));
	check(&list, "https://a.example", ORIGIN_ANY, "");
	origin_list_deinit(&list);
}

static void test_listed(void **state)
{
	struct origin_list list = MADE("https://a.example", "http://b.example:8080",
				       "http://localhost:*", "http://[2001:DB8::1]",
				       "https://b\xc3\xbc"
				       "cher.example");
	static const char *const others[] = {
		"http://a.example",
		"https://a.example:8443",
		"https://a.example:80",
		"https://a.example.evil.example",
		"https://evila.example",
		"https://x.a.example",
		"https://a.exampl",
		"https://a.example.",
		"https://.a.example",
		"https://a.example/",
		"https://a.example:",
		"https://a.example@evil.example",
		"https://evil.example@a.example",
		"https://evil.example#https://a.example",
		" https://a.example",
		"null",
		"*",
		"http://b.example",
		"http://b.example:80800",
		"http://[2001:db8::2]",
		"http://2001:db8::1",
		"https://localhost",
		"http://localhost:0",
		("https://b\xc3\xbc"
		 "cher.example"),
		"https://a.example,https://b",
	};

	(void)state;
	assert_true(origin_list_varies(&list));
	check(&list, "https://a.example", ORIGIN_LISTED, "https://a.example");
	/* In whatever case the client wrote the origin. */
	check(&list, "HTTPS://A.example", ORIGIN_LISTED, "https://a.example");
	check(&list, "https://a.example:443", ORIGIN_LISTED, "https://a.example");
	check(&list, "http://b.example:8080", ORIGIN_LISTED, "http://b.example:8080");
	check(&list, "http://localhost", ORIGIN_LISTED, "http://localhost");
	check(&list, "http://localhost:1", ORIGIN_LISTED, "http://localhost:1");
	check(&list, "http://localhost:65535", ORIGIN_LISTED, "http://localhost:65535");
	check(&list, "http://[2001:db8::1]", ORIGIN_LISTED, "http://[2001:db8::1]");
	check(&list, "https://xn--bcher-kva.example", ORIGIN_LISTED,
	      "https://xn--bcher-kva.example");
	check(&list, NULL, ORIGIN_ABSENT, "");
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		check(&list, others[i], ORIGIN_REFUSED, "");
	}
	origin_list_deinit(&list);
}

static void test_wildcards(void **state)
{
	struct origin_list list = MADE("https://*.example.org", "http://*.test:8080");
	static const char *const others[] = {
		"https://example.org",
		"https://evilexample.org",
		"https://example.org.evil.example",
		"https://a.example.org.evil.example",
		"https://a.example.org.",
		"https://.example.org",
		"https://a..example.org",
		"https://*.example.org",
		"http://a.example.org",
		"https://a.example.org:8443",
		"https://a.b\xc3\xbc.example.org",
		"https://a\"b.example.org",
		"https://a b.example.org",
		"https://evil.example/.example.org",
		"https://evil.example?.example.org",
		"https://evil.example#.example.org",
		"https://evil.example\\.example.org",
		"https://user@a.example.org",
		"http://a.test",
		"null",
	};

	(void)state;
	check(&list, "https://a.example.org", ORIGIN_LISTED, "https://a.example.org");
	check(&list, "https://B.a.example.org", ORIGIN_LISTED, "https://b.a.example.org");
	check(&list, "http://a.test:8080", ORIGIN_LISTED, "http://a.test:8080");
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		check(&list, others[i], ORIGIN_REFUSED, "");
	}
	origin_list_deinit(&list);
}

static void test_none(void **state)
{
	struct origin_list list = made(NULL, 0);

	(void)state;
	check(&list, "https://a.example", ORIGIN_REFUSED, "");
	check(&list, NULL, ORIGIN_ABSENT, "");
	origin_list_deinit(&list);
	origin_list_deinit(&list);
}

static int scenario(void *userdata)
{
	static const char *const texts[] = {"https://a.example", "*", "https://*.b.example:8443"};
	struct origin_list list;
	size_t bad;
	int r = origin_list_init(&list, texts, 3, &bad);

	(void)userdata;
	if (r == 0) {
		origin_list_deinit(&list);
	}
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalised), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),     cmocka_unit_test(test_any),
		cmocka_unit_test(test_listed),     cmocka_unit_test(test_wildcards),
		cmocka_unit_test(test_none),       cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
