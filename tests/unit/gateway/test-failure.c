/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/macro.h"
#include "gateway/failure.h"

static void check(const char *detail, const char *public_detail)
{
	struct failure failure;

	failure_set(&failure, FAILURE_CONNECT_REFUSED, "%s", detail);
	assert_string_equal(failure.detail, detail);
	assert_string_equal(failure.public_detail, public_detail);
	failure_set_public(&failure, "%s", detail);
	assert_string_equal(failure.public_detail, public_detail);
}

static void test_none(void **state)
{
	struct failure failure;

	(void)state;
	memset(&failure, 'x', sizeof(failure));
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	assert_int_equal(failure.kind, FAILURE_SHUTDOWN);
	assert_string_equal(failure.detail, "");
	assert_string_equal(failure.public_detail, "");
}

static void test_other_words(void **state)
{
	struct failure failure;

	(void)state;
	failure_set(&failure, FAILURE_CONNECT_REFUSED, "%s %s", "h.example", "10.0.0.1:5222");
	failure_set_public(&failure, "%s:%u", "h.example", 5222U);
	assert_string_equal(failure.detail, "h.example 10.0.0.1:5222");
	assert_string_equal(failure.public_detail, "h.example:5222");
	failure_set_public(&failure, NULL);
	assert_string_equal(failure.detail, "h.example 10.0.0.1:5222");
	assert_string_equal(failure.public_detail, "");
}

/* Anywhere in the text, and in each notation of an address. */
static void test_addresses(void **state)
{
	static const char *const rows[][2] = {
		{"127.0.0.1", "(address)"},
		{"127.0.0.1:5222", "(address)"},
		{"::1", "(address)"},
		{"[::1]:5222", "(address)"},
		{"::", "(address)"},
		{"h.example 10.0.0.1:5222", "h.example (address)"},
		{"h.example [2001:db8::1]:5222: Network is unreachable",
		 "h.example (address): Network is unreachable"},
		{"::ffff:192.0.2.1", "(address)"},
		{"fe80::1%lo", "(address)"},
		{"fe80::1%absent0: why", "(address): why"},
		{"[fe80::1%absent0]:5222: why", "(address): why"},
		{"50%absent0", "50%absent0"},
		{"10.0.0.1: why", "(address): why"},
		{"2001:db8::1: why", "(address): why"},
		{"it is 10.0.0.1.", "it is (address)."},
		{"names: 10.0.0.1,*.example.org,192.168.1.1",
		 "names: (address),*.example.org,(address)"},
		{"issuer /O=Inside/CN=10.0.0.1", "issuer /O=Inside/CN=(address)"},
		{"_xmpp-client.10.0.0.1", "_xmpp-client.(address)"},
		{"('10.0.0.1')(\"fd00::1\")", "('(address)')(\"(address)\")"},
		{"10.0.0.1 10.0.0.2", "(address) (address)"},
		{"10.0.0.1/8", "(address)/8"},
		{"\xc3\xa4"
		 "10.0.0.1\xc3\xa4",
		 "\xc3\xa4(address)\xc3\xa4"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check(rows[i][0], rows[i][1]);
	}
}

static void test_no_addresses(void **state)
{
	static const char *const rows[] = {
		"",
		"h.example:5222",
		"xmpp1.example.org: Connection reset by peer",
		"names in the certificate: *.example.org,a.b.c.d; wanted: example.org",
		"SSL routines::certificate verify failed",
		"it expired on 2026-01-31 at 12:30:59",
		"it is sha256//AbC+dEf/GhI=",
		"version 1.2.3",
		"1.2.3.256",
		"a1.2.3.4",
		"1.2.3.4a",
		"1.2.3.4z",
		"1.2.3.4A",
		"1.2.3.4Z",
		"dead:beef",
		"face b00c",
		": . -",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check(rows[i], rows[i]);
	}
}

/* Long texts are cut between characters. The public detail may be the longer one. */
static void test_bound(void **state)
{
	char text[FAILURE_DETAIL_MAX + 8];
	struct failure failure;

	(void)state;
	for (size_t n = FAILURE_DETAIL_MAX - 1; n <= FAILURE_DETAIL_MAX; n++) {
		memset(text, 'x', sizeof(text));
		text[n] = '\0';
		failure_set(&failure, FAILURE_INTERNAL, "%s", text);
		assert_int_equal(strlen(failure.detail), FAILURE_DETAIL_MAX - 1);
		assert_string_equal(failure.public_detail, failure.detail);
	}
	memcpy(text + FAILURE_DETAIL_MAX - 3, "\xe2\x98\x82", 4);
	failure_set(&failure, FAILURE_INTERNAL, "%s", text);
	assert_int_equal(strlen(failure.detail), FAILURE_DETAIL_MAX - 3);
	/* "::" has 2 octets, masked 9. */
	memset(text, ' ', sizeof(text));
	memcpy(text, "::", 2);
	memcpy(text + FAILURE_DETAIL_MAX - 12, "\xe2\x98\x82\xe2\x98\x82", 7);
	failure_set(&failure, FAILURE_INTERNAL, "%s", text);
	assert_int_equal(strlen(failure.detail), FAILURE_DETAIL_MAX - 6);
	assert_int_equal(strlen(failure.public_detail), FAILURE_DETAIL_MAX - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),      cmocka_unit_test(test_other_words),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_no_addresses),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
