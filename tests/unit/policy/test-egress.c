/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/egress.h"
#include "tests/unit/failmalloc.h"

static void check(const char *text, const char *formatted, const char *user, const char *password)
{
	char again[EGRESS_TEXT_MAX];
	struct egress egress;

	assert_int_equal(egress_parse(sv_from(text), &egress), 0);
	assert_string_equal(egress_format(&egress, again), formatted);
	assert_int_equal(egress.user != NULL, user != NULL);
	if (user) {
		assert_string_equal(egress.user, user);
		assert_string_equal(egress.password, password);
	}
	egress_deinit(&egress);
	egress_deinit(&egress);
	assert_int_equal(egress.kind, EGRESS_NONE);
}

static void test_parse(void **state)
{
	(void)state;
	check("socks5://127.0.0.1:9050", "socks5://127.0.0.1:9050", NULL, NULL);
	check("SOCKS5://[::1]:1080/", "socks5://[::1]:1080", NULL, NULL);
	check("http://Proxy.Example.org:3128", "http://proxy.example.org:3128", NULL, NULL);
	check("socks5://tor:9050", "socks5://tor:9050", NULL, NULL);
	check("socks5://b\xc3\xbc"
	      "cher.example:1",
	      "socks5://xn--bcher-kva.example:1", NULL, NULL);
	check("socks5://me:secret@tor:9050", "socks5://tor:9050", "me", "secret");
	check("http://a%40b:%3a%2F%25@proxy:8080", "http://proxy:8080", "a@b", ":/%");
	/* Of two colons, the second belongs to the password. */
	check("http://me:a:b@proxy:8080", "http://proxy:8080", "me", "a:b");
	check("socks5://a%3ab:c@proxy:8080", "socks5://proxy:8080", "a:b", "c");
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"socks5",
		"socks5://",
		"socks5:///",
		"://proxy:1",
		"proxy:1080",
		"127.0.0.1:1080",
		"socks4://proxy:1080",
		"socks5h://proxy:1080",
		"https://proxy:1080",
		"socks5://proxy",
		"socks5://127.0.0.1",
		"socks5://127.0.0.1:0",
		"socks5://::1:1080",
		"socks5://[::1]",
		"socks5://proxy:",
		"socks5://proxy:0",
		"socks5://proxy:65536",
		"socks5://proxy:1080/path",
		"socks5://pro xy:1080",
		"socks5://-:1080",
		"socks5://:1080",
		/* logins */
		"socks5://me@proxy:1080",
		"socks5://me:@proxy:1080",
		"socks5://:secret@proxy:1080",
		"socks5://@proxy:1080",
		"socks5://me:se@cret@proxy:1080",
		"socks5://me:%@proxy:1080",
		"socks5://me:%4@proxy:1080",
		"socks5://me:%4g@proxy:1080",
		"socks5://me:%00@proxy:1080",
		"socks5://me:a%0d%0ab@proxy:1080",
		"socks5://me:a%7f@proxy:1080",
		"http://a%3ab:c@proxy:8080",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct egress egress = {.port = 7};

		print_message("%s\n", texts[i]);
		assert_int_equal(egress_parse(sv_from(texts[i]), &egress), -EINVAL);
		assert_int_equal(egress.port, 7);
	}
}

static void test_login_length(void **state)
{
	char text[2 * EGRESS_LOGIN_MAX + 32];
	struct egress egress;

	(void)state;
	for (int n = EGRESS_LOGIN_MAX; n <= EGRESS_LOGIN_MAX + 1; n++) {
		int expected = n <= EGRESS_LOGIN_MAX ? 0 : -EINVAL;

		(void)snprintf(text, sizeof(text), "socks5://u:%0*d@proxy:1", n, 7);
		assert_int_equal(egress_parse(sv_from(text), &egress), expected);
		if (expected == 0) {
			egress_deinit(&egress);
		}
		(void)snprintf(text, sizeof(text), "socks5://%0*d:p@proxy:1", n, 7);
		assert_int_equal(egress_parse(sv_from(text), &egress), expected);
		if (expected == 0) {
			egress_deinit(&egress);
		}
	}
}

static int parse_and_forget(void *userdata)
{
	struct egress egress;
	int r = egress_parse(SV("socks5://me:secret@proxy:1080"), &egress);

	(void)userdata;
	if (r == 0) {
		egress_deinit(&egress);
	}
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	failmalloc_each(parse_and_forget, NULL, 3);
}

static void add(struct egress_sources *sources, const char *text)
{
	assert_int_equal(address_parse(sv_from(text), 0, &sources->addresses[sources->n++]), 0);
}

static void test_sources(void **state)
{
	struct egress_sources sources = {0};

	(void)state;
	assert_null(egress_source(&sources, AF_INET, 0));
	add(&sources, "192.0.2.1");
	assert_null(egress_source(&sources, AF_INET6, 0));
	assert_ptr_equal(egress_source(&sources, AF_INET, 7), &sources.addresses[0]);
	add(&sources, "2001:db8::1");
	add(&sources, "192.0.2.2");
	/* Those of a family take turns. */
	assert_ptr_equal(egress_source(&sources, AF_INET6, 7), &sources.addresses[1]);
	assert_ptr_equal(egress_source(&sources, AF_INET, 0), &sources.addresses[0]);
	assert_ptr_equal(egress_source(&sources, AF_INET, 1), &sources.addresses[2]);
	assert_ptr_equal(egress_source(&sources, AF_INET, UINT32_MAX), &sources.addresses[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),        cmocka_unit_test(test_refused),
		cmocka_unit_test(test_login_length), cmocka_unit_test(test_memory),
		cmocka_unit_test(test_sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
