/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/origin.h"

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
		const char *origin;
	} rows[] = {
		{"https://chat.example.org", "https://chat.example.org"},
		{"HTTPS://Chat.Example.ORG", "https://chat.example.org"},
		{"https://chat.example.org:443", "https://chat.example.org"},
		{"http://chat.example.org:80", "http://chat.example.org"},
		{"https://chat.example.org:80", "https://chat.example.org:80"},
		{"http://chat.example.org:443", "http://chat.example.org:443"},
		{"http://localhost:8080", "http://localhost:8080"},
		{"http://127.0.0.1:65535", "http://127.0.0.1:65535"},
		{"http://[::1]:8080", "http://[::1]:8080"},
		{"http://[2001:DB8::1]", "http://[2001:db8::1]"},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"moz-extension://1b2c-3d", "moz-extension://1b2c-3d"},
		{"capacitor://localhost", "capacitor://localhost"},
		{"http://my_host", "http://my_host"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct origin_list list = MADE(rows[i].text);

		assert_false(list.any);
		assert_int_equal(list.n_origins, 1);
		assert_string_equal(list.origins[0], rows[i].origin);
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
		"https://*.example.org",
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
		"https://bücher.example",
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
		assert_null(list.origins);
	}
}

static void test_length(void **state)
{
	char text[400] = "https://";
	const char *const texts[] = {text};
	struct origin_list list;
	size_t bad;

	(void)state;
	memset(text + strlen(text), 'a', 320 - strlen(text));
	assert_int_equal(strlen(text), 320);
	assert_int_equal(origin_list_init(&list, texts, 1, &bad), 0);
	origin_list_deinit(&list);
	text[320] = 'a';
	assert_int_equal(origin_list_init(&list, texts, 1, &bad), -EINVAL);
}

static void test_any(void **state)
{
	struct origin_list list = MADE("https://a.example", "*");

	(void)state;
	assert_true(list.any);
	assert_null(list.origins);
	assert_int_equal(list.n_origins, 0);
	assert_true(origin_list_allows(&list, SV("https://evil.example")));
	assert_true(origin_list_allows(&list, SV("null")));
	assert_true(origin_list_allows(&list, SV_EMPTY));
	assert_string_equal(origin_list_header(&list, SV("https://evil.example")), "*");
	assert_string_equal(origin_list_header(&list, SV_EMPTY), "*");
	origin_list_deinit(&list);
	assert_false(list.any);
}

static void test_listed(void **state)
{
	struct origin_list list = MADE("https://a.example", "http://b.example:8080");
	static const char *const others[] = {
		"http://a.example",
		"https://a.example:8443",
		"https://a.example.evil.example",
		"https://evila.example",
		"https://x.a.example",
		"https://a.exampl",
		"null",
		"*",
		"http://b.example",
		"http://b.example:80800",
		"https://a.example,https://b",
	};

	(void)state;
	assert_true(origin_list_allows(&list, SV("https://a.example")));
	assert_true(origin_list_allows(&list, SV("HTTPS://A.example")));
	assert_true(origin_list_allows(&list, SV("http://b.example:8080")));
	assert_true(origin_list_allows(&list, SV_EMPTY));
	assert_true(origin_list_allows(&list, SV("")));
	assert_ptr_equal(origin_list_header(&list, SV("https://a.example")), list.origins[0]);
	/* The bytes of the list, in whatever case the client wrote the origin. */
	assert_ptr_equal(origin_list_header(&list, SV("HTTP://B.example:8080")), list.origins[1]);
	assert_null(origin_list_header(&list, SV_EMPTY));
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		if (origin_list_allows(&list, sv_from(others[i]))) {
			fail_msg("allowed: %s", others[i]);
		}
		assert_null(origin_list_header(&list, sv_from(others[i])));
	}
	origin_list_deinit(&list);
}

static void test_none(void **state)
{
	struct origin_list list = made(NULL, 0);

	(void)state;
	assert_false(origin_list_allows(&list, SV("https://a.example")));
	assert_true(origin_list_allows(&list, SV_EMPTY));
	assert_null(origin_list_header(&list, SV("https://a.example")));
	origin_list_deinit(&list);
	origin_list_deinit(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalised), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),     cmocka_unit_test(test_any),
		cmocka_unit_test(test_listed),     cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
