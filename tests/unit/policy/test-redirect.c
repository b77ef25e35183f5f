/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/redirect.h"

static void test_taken(void **state)
{
	static const struct {
		const char *text, *host, *address;
		uint16_t port;
	} rows[] = {
		{"xmpp2.example.org", "xmpp2.example.org", NULL, 0},
		{"xmpp2.example.org:9222", "xmpp2.example.org", NULL, 9222},
		{"XMPP2.Example.ORG.:1", "xmpp2.example.org", NULL, 1},
		{"b\xc3\xbc"
		 "cher.example:65535",
		 "xn--bcher-kva.example", NULL, 65535},
		{"localhost:5222", "localhost", NULL, 5222},
		{"192.0.2.1", "", "192.0.2.1:0", 0},
		{"192.0.2.1:5222", "", "192.0.2.1:5222", 5222},
		{"[2001:db8::1]", "", "[2001:db8::1]:0", 0},
		{"[2001:41D0:1:A49b::1]:9222", "", "[2001:41d0:1:a49b::1]:9222", 9222},
		{"\n  [::1]:9222\r\n\t", "", "[::1]:9222", 9222},
		/* Must not bypass checks of IPv4 addresses. */
		{"[::ffff:10.0.0.1]:5222", "", "10.0.0.1:5222", 5222},
	};
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct redirect redirect;

		if (redirect_parse(sv_from(rows[i].text), &redirect) != 0) {
			fail_msg("refused: '%s'", rows[i].text);
		}
		assert_string_equal(redirect.host, rows[i].host);
		assert_int_equal(redirect.port, rows[i].port);
		if (rows[i].address) {
			assert_string_equal(address_format(&redirect.address, text),
					    rows[i].address);
		}
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		" \n",
		":",
		":5222",
		"example.org:",
		"example.org:0",
		"example.org:65536",
		"example.org:99999999999999999999",
		"example.org:+5222",
		"example.org:-1",
		"example.org:0x1466",
		"example.org: 5222",
		"example.org :5222",
		"example.org:5222:5222",
		"example.org:5222/path",
		"example.org/path",
		"xmpp://example.org",
		"user@example.org",
		"example org",
		"a.example b.example",
		"example",
		"*.example.org",
		"_xmpp._tcp.example.org",
		"-a.example.org",
		"a..example.org",
		"2001:db8::1",
		"::1",
		"2001:db8::1:5222",
		"[2001:db8::1",
		"[2001:db8::1]5222",
		"[2001:db8::1]]:5222",
		"[2001:db8::1] :5222",
		"[2001:db8::1]:",
		"[2001:db8::1]:0",
		"[fe80::1%lo]:5222",
		"[fe80::1%1]",
		"[192.0.2.1]:5222",
		"[example.org]:5222",
		"[]:5222",
		"[",
		"]",
		"[2001:db8::g]",
		"192.0.2.1:5222:1",
		"192.0.2",
		"192.0.2.256",
		"127.1",
		"0x7f.0.0.1",
		"017700000001",
		"2130706433",
		"&#108;ocalhost",
		"exa\xffm.org",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct redirect redirect = {.port = 7};

		if (redirect_parse(sv_from(texts[i]), &redirect) != -EINVAL) {
			fail_msg("taken: '%s'", texts[i]);
		}
		assert_int_equal(redirect.port, 7);
	}
	assert_int_equal(redirect_parse((struct sv){"example.org\0.example.org", 24},
					&(struct redirect){.port = 0}),
			 -EINVAL);
	assert_int_equal(
		redirect_parse((struct sv){"192.0.2.1\0", 10}, &(struct redirect){.port = 0}),
		-EINVAL);
	assert_int_equal(redirect_parse(SV_EMPTY, &(struct redirect){.port = 0}), -EINVAL);
}

/* Names may have 253 characters, not 254. */
static void test_length(void **state)
{
	char text[300] = "";

	(void)state;
	for (size_t n = 253; n <= 254; n++) {
		struct redirect redirect;

		memset(text, 'a', n);
		for (size_t i = 50; i < 250; i += 50) {
			text[i] = '.';
		}
		memcpy(text + n, ":5222", 6);
		assert_int_equal(redirect_parse(sv_from(text), &redirect), n == 253 ? 0 : -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
