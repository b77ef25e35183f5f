/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "policy/domain.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"
#define A64 A60 "aaaa"
/* 4 * 63 + 3 dots are 255; 253 is three of 63, one of 61. */
#define NAME_253 A63 "." A63 "." A63 "." A60 "a"
#define NAME_254 A63 "." A63 "." A63 "." A60 "aa"

static void test_to_ascii(void **state)
{
	static const struct {
		const char *text;
		const char *ascii;
	} rows[] = {
		{"example.org", "example.org"},
		{"EXAMPLE.Org", "example.org"},
		{"AZ.example", "az.example"},
		{"example.org.", "example.org"},
		{"localhost", "localhost"},
		{"LocalHost.", "localhost"},
		{"a.b", "a.b"},
		{"1.example", "1.example"},
		{"127.0.0.1.example", "127.0.0.1.example"},
		{"a-b.c--d.e", "a-b.c--d.e"},
		{"ab--cd.example", "ab--cd.example"},
		{"example.x0", "example.x0"},
		{"example.0xg", "example.0xg"},
		{"example.1a", "example.1a"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"BÜCHER.Example", "xn--bcher-kva.example"},
		{"bu\xcc\x88"
		 "cher.example",
		 "xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{"faß.de", "xn--fa-hia.de"},
		{"例え.テスト", "xn--r8jz45g.xn--zckzah"},
		{"例え。テスト。", "xn--r8jz45g.xn--zckzah"},
		{"ＥＸＡＭＰＬＥ．ｏｒｇ", "example.org"},
		{A63 ".org", A63 ".org"},
		{NAME_253, NAME_253},
		{NAME_253 ".", NAME_253},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char ascii[DOMAIN_MAX + 1] = "";

		if (domain_to_ascii(sv_from(rows[i].text), ascii) != 0) {
			fail_msg("refused: '%s'", rows[i].text);
		}
		assert_string_equal(ascii, rows[i].ascii);
	}
}

static const char *const not_domains[] = {
	/* no names */
	"",
	".",
	"..",
	" ",
	"example",
	"com.",
	".example.org",
	"example..org",
	"example.org..",
	/* addresses in any notation */
	"127.0.0.1",
	"127.0.0.1.",
	"127.1",
	"2130706433",
	"0x7f.0.0.1",
	"0x7f.0x1",
	"0177.0.0.1",
	"example.0x",
	"example.0x7f",
	"example.1",
	"1.2.3.4.5",
	"::1",
	"[::1]",
	"[::1]:5222",
	"2001:db8::1",
	"[2001:db8::1]",
	"[v1.x]",
	"１２７.0.0.1",
	"127。0。0。1",
	"0X7F.1",
	"::ffff:127.0.0.1",
	"fe80::1%eth0",
	"①.②.③.④",
	/* ports, paths, users */
	"example.org:5222",
	"localhost:5222",
	"example.org/",
	"user@example.org",
	"example.org/resource",
	"http://example.org",
	"example.org?",
	"example.org#",
	/* characters that could break out of a header or a query */
	"exa mple.org",
	" example.org",
	"example.org ",
	"exam\"ple.org",
	"exam'ple.org",
	"exam<ple.org",
	"exam>ple.org",
	"exam&amp;ple.org",
	"example.org\n",
	"exam\tple.org",
	"exam\\ple.org",
	"exam\x01ple.org",
	"exam\x7fple.org",
	"exam_ple.org",
	"*.example.org",
	"exam%70le.org",
	"exam;ple.org",
	"ü .example",
	"ü\".example",
	"ü_.example",
	"℀.example",
	"ü:5222.example",
	"ü\n.example",
	/* hyphens and bad letters */
	"-a.example",
	"a-.example",
	"example.-",
	"-.example",
	"-ü.example",
	"ü-.example",
	"xn--.example",
	"xn--a.example",
	"xn--zzzzzzz999999.com",
	"xn--a-\xc3\xbc.example",
	"\xff.example",
	"\xc3.example",
	"a\xed\xa0\x80.example",
	"ü\xe2\x80\x8d.example",
	"⒈com.example",
	/* lengths */
	A64 ".org",
	"org." A64,
	NAME_254,
	NAME_254 ".",
	"ü" A60 ".org",
};

static void test_to_ascii_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(not_domains); i++) {
		char ascii[DOMAIN_MAX + 1] = "untouched";
		int r = domain_to_ascii(sv_from(not_domains[i]), ascii);

		if (r != -EINVAL) {
			fail_msg("%zu: '%s' gave %d, '%s'", i, not_domains[i], r, ascii);
		}
		assert_string_equal(ascii, "untouched");
	}
}

static void test_to_ascii_knows_the_end_of_its_text(void **state)
{
	char ascii[DOMAIN_MAX + 1];
	char large[8192];

	(void)state;
	assert_int_equal(domain_to_ascii((struct sv){"example.orgs", 11}, ascii), 0);
	assert_string_equal(ascii, "example.org");
	assert_int_equal(domain_to_ascii(SV("example.org\0"), ascii), -EINVAL);
	assert_int_equal(domain_to_ascii(SV("example.org\0.evil.example"), ascii), -EINVAL);
	assert_int_equal(domain_to_ascii(SV("ü.org\0x"), ascii), -EINVAL);
	assert_int_equal(domain_to_ascii(SV_EMPTY, ascii), -EINVAL);
	memset(large, 'a', sizeof(large));
	assert_int_equal(domain_to_ascii((struct sv){large, sizeof(large)}, ascii), -EINVAL);
	for (size_t i = 0; i < sizeof(large); i += 2) {
		memcpy(large + i, "ü", 2);
	}
	assert_int_equal(domain_to_ascii((struct sv){large, sizeof(large)}, ascii), -EINVAL);
	/* The longest label that fits after Punycode, and one letter more. */
	assert_int_equal(domain_to_ascii(SV("ü" A10 A10 A10 A10 A10 "aaaaa.de"), ascii), 0);
	assert_int_equal(strlen(ascii), 63 + 3);
	assert_int_equal(domain_to_ascii(SV("ü" A10 A10 A10 A10 A10 "aaaaaa.de"), ascii), -EINVAL);
}

static void test_to_unicode(void **state)
{
	static const struct {
		const char *ascii;
		const char *unicode;
	} rows[] = {
		{"example.org", "example.org"},
		{"localhost", "localhost"},
		{"a-b.c--d.e", "a-b.c--d.e"},
		{"xn--bcher-kva.example", "bücher.example"},
		{"chat.xn--bcher-kva.example", "chat.bücher.example"},
		{"xn--fa-hia.de", "faß.de"},
		{"xn--r8jz45g.xn--zckzah", "例え.テスト"},
		{"xn--mgba3a4f16a.xn--mgbh0fb", "ایران.مثال"},
		/* A name that does not convert back is left as it is. */
		{"xn--a.example", "xn--a.example"},
		{"xn--zzzzzzz999999.com", "xn--zzzzzzz999999.com"},
		{"xn--.example", "xn--.example"},
		{"xn--example-.com", "xn--example-.com"},
		{NAME_253, NAME_253},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char unicode[DOMAIN_UNICODE_MAX + 1];

		assert_int_equal(domain_to_unicode(rows[i].ascii, unicode), 0);
		assert_string_equal(unicode, rows[i].unicode);
	}
}

/* Every name that a client can give converts back, up to the longest one. */
static void test_there_and_back(void **state)
{
	static const char *const texts[] = {
		"BÜCHER.Example",
		"bu\xcc\x88"
		"cher.example",
		"XN--BCHER-KVA.example",
		"例え。テスト。",
		"ü" A10 A10 A10 A10 A10 "aaaaa.de",
		/* Letters of four bytes. */
		"\xf0\x90\x8c\xb0\xf0\x90\x8c\xb0\xf0\x90\x8c\xb0\xf0\x90\x8c\xb0\xf0\x90\x8c\xb0."
		"example",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		char ascii[DOMAIN_MAX + 1], again[DOMAIN_MAX + 1];
		char unicode[DOMAIN_UNICODE_MAX + 1];

		assert_int_equal(domain_to_ascii(sv_from(texts[i]), ascii), 0);
		assert_int_equal(domain_to_unicode(ascii, unicode), 0);
		assert_string_not_equal(ascii, unicode);
		assert_int_equal(domain_to_ascii(sv_from(unicode), again), 0);
		assert_string_equal(ascii, again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_ascii),
		cmocka_unit_test(test_to_ascii_refuses),
		cmocka_unit_test(test_to_ascii_knows_the_end_of_its_text),
		cmocka_unit_test(test_to_unicode),
		cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
