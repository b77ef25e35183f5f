/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/http/coding.h"

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(coding_name(CODING_IDENTITY), "identity");
	assert_string_equal(coding_name(CODING_GZIP), "gzip");
	assert_string_equal(coding_name(CODING_DEFLATE), "deflate");
}

/* RFC 9110, 8.4: Content-Encoding. */
static void test_content_encoding(void **state)
{
	static const struct {
		const char *values[3];
		enum coding expected;
	} rows[] = {
		{{NULL}, CODING_IDENTITY},
		{{""}, CODING_IDENTITY},
		{{" , ,"}, CODING_IDENTITY},
		{{"identity"}, CODING_IDENTITY},
		{{"gzip"}, CODING_GZIP},
		{{"GZip"}, CODING_GZIP},
		{{"x-gzip"}, CODING_GZIP},
		{{"X-GZIP"}, CODING_GZIP},
		{{"deflate"}, CODING_DEFLATE},
		{{" deflate , "}, CODING_DEFLATE},
		{{", gzip"}, CODING_GZIP},
		{{"identity, gzip"}, CODING_GZIP},
		{{"gzip, identity"}, CODING_GZIP},
		{{"br"}, CODING_UNKNOWN},
		{{"zstd"}, CODING_UNKNOWN},
		{{"compress"}, CODING_UNKNOWN},
		{{"x-deflate"}, CODING_UNKNOWN},
		{{"gzi"}, CODING_UNKNOWN},
		{{"gzip;q=1"}, CODING_UNKNOWN},
		{{"*"}, CODING_UNKNOWN},
		{{"gzip, gzip"}, CODING_UNKNOWN},
		{{"gzip, deflate"}, CODING_UNKNOWN},
		{{"gzip, br"}, CODING_UNKNOWN},
		{{"br, gzip"}, CODING_UNKNOWN},
		{{"br, identity"}, CODING_UNKNOWN},
		{{"gzip", "gzip"}, CODING_UNKNOWN},
		{{"identity", "gzip"}, CODING_GZIP},
		{{"br", "gzip"}, CODING_UNKNOWN},
		/* libpurple (Pidgin) means Content-Type. */
		{{"text/xml; charset=utf-8"}, CODING_IDENTITY},
		{{"text/xml; charset=utf-8", "gzip"}, CODING_GZIP},
		{{"br", "text/xml"}, CODING_UNKNOWN},
		/* Others mean a charset, or Content-Transfer-Encoding. */
		{{"UTF-8"}, CODING_IDENTITY},
		{{"utf8"}, CODING_IDENTITY},
		{{"8bit"}, CODING_IDENTITY},
		{{"binary"}, CODING_IDENTITY},
		{{"none"}, CODING_IDENTITY},
		{{"utf-8, gzip"}, CODING_GZIP},
		{{"gzip", "UTF-8"}, CODING_GZIP},
		{{"br", "UTF-8"}, CODING_UNKNOWN},
		{{"utf-16"}, CODING_UNKNOWN},
		{{"base64"}, CODING_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		enum coding coding = CODING_IDENTITY;

		for (size_t j = 0; rows[i].values[j]; j++) {
			coding = coding_add(coding, sv_from(rows[i].values[j]));
		}
		if (coding != rows[i].expected) {
			fail_msg("'%s' gave %d, expected %d", rows[i].values[0], coding,
				 rows[i].expected);
		}
	}
}

static const struct {
	const char *values[3];
	enum coding expected;
	enum coding expected_short;
} accept_encoding[] = {
	/* Without the header nothing is coded, though RFC 9110 would allow it. */
	{{NULL}, CODING_IDENTITY, CODING_IDENTITY},
	{{""}, CODING_IDENTITY, CODING_IDENTITY},
	{{"identity"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"br, zstd"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"br;q=0"}, CODING_IDENTITY, CODING_IDENTITY},
	/* One. */
	{{"gzip"}, CODING_GZIP, CODING_IDENTITY},
	{{"x-gzip"}, CODING_GZIP, CODING_IDENTITY},
	{{"GZIP"}, CODING_GZIP, CODING_IDENTITY},
	{{"deflate"}, CODING_DEFLATE, CODING_IDENTITY},
	{{"Deflate;Q=0.1"}, CODING_DEFLATE, CODING_IDENTITY},
	{{"gzip;q=0.001"}, CODING_GZIP, CODING_IDENTITY},
	{{"gzip;q=0"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0."}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0.000"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=1."}, CODING_GZIP, CODING_IDENTITY},
	{{"gzip;q=1.000"}, CODING_GZIP, CODING_IDENTITY},
	{{"gzip ; q=1"}, CODING_GZIP, CODING_IDENTITY},
	{{" ,gzip, ,"}, CODING_GZIP, CODING_IDENTITY},
	/* Several. */
	{{"gzip, deflate, br, zstd"}, CODING_GZIP, CODING_IDENTITY},
	{{"deflate, gzip"}, CODING_GZIP, CODING_IDENTITY},
	{{"gzip;q=0.5, deflate"}, CODING_DEFLATE, CODING_IDENTITY},
	{{"gzip;q=0.499, deflate;q=0.5"}, CODING_DEFLATE, CODING_IDENTITY},
	{{"gzip;q=0.51, deflate;q=0.5"}, CODING_GZIP, CODING_IDENTITY},
	{{"gzip;q=0, deflate;q=0"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0, deflate"}, CODING_DEFLATE, CODING_IDENTITY},
	{{"gzip", "deflate;q=0.1"}, CODING_GZIP, CODING_IDENTITY},
	{{"gzip;q=0.1", "deflate"}, CODING_DEFLATE, CODING_IDENTITY},
	/* "*" stands for codings that are not named. */
	{{"*"}, CODING_GZIP, CODING_IDENTITY},
	{{"*;q=0.3"}, CODING_GZIP, CODING_IDENTITY},
	{{"*;q=0"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0, *"}, CODING_DEFLATE, CODING_IDENTITY},
	{{"gzip;q=0.2, *;q=0.5"}, CODING_DEFLATE, CODING_IDENTITY},
	{{"gzip;q=0, deflate;q=0, *"}, CODING_IDENTITY, CODING_IDENTITY},
	/* With a weight for identity. */
	{{"gzip;q=0.5, identity"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0.5, identity;q=0.5"}, CODING_GZIP, CODING_IDENTITY},
	{{"gzip;q=0.5, identity;q=0.501"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0.5, *;q=0.9, deflate;q=0"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip, identity;q=0"}, CODING_GZIP, CODING_GZIP},
	{{"deflate;q=0.1, *;q=0"}, CODING_DEFLATE, CODING_DEFLATE},
	{{"identity;q=0"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"identity;q=0, *"}, CODING_GZIP, CODING_GZIP},
	{{"identity;q=0, gzip;q=0, deflate;q=0"}, CODING_IDENTITY, CODING_IDENTITY},
	/* Malformed items are not accepted codings. */
	{{"gzip;q=2"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=1.001"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0.1234"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=00.1"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=.5"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0,5"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=0.x"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=-1"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=+1"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q="}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;level=9"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=1;q=1"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip deflate"}, CODING_IDENTITY, CODING_IDENTITY},
	{{"gzip;q=x, deflate;q=0.1"}, CODING_DEFLATE, CODING_IDENTITY},
	{{";q=1"}, CODING_IDENTITY, CODING_IDENTITY},
};

/* RFC 9110, 12.5.3: Accept-Encoding, for an answer that is worth coding and for one that is too
 * short. */
static void test_accept_encoding(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(accept_encoding); i++) {
		struct coding_wishes wishes = {0};

		for (size_t j = 0; accept_encoding[i].values[j]; j++) {
			coding_wishes_add(&wishes, sv_from(accept_encoding[i].values[j]));
		}
		enum coding coding = coding_choose(&wishes, CODING_TEXT_MIN);
		enum coding coding_short = coding_choose(&wishes, CODING_TEXT_MIN - 1);

		if (coding != accept_encoding[i].expected ||
		    coding_short != accept_encoding[i].expected_short) {
			fail_msg("'%s' gave %d and %d, expected %d and %d",
				 accept_encoding[i].values[0], coding, coding_short,
				 accept_encoding[i].expected, accept_encoding[i].expected_short);
		}
	}
}

static void test_sizes(void **state)
{
	struct coding_wishes likes = {0}, refuses = {0};

	(void)state;
	coding_wishes_add(&likes, SV("gzip"));
	assert_int_equal(coding_choose(&likes, 0), CODING_IDENTITY);
	assert_int_equal(coding_choose(&likes, CODING_TEXT_MIN - 1), CODING_IDENTITY);
	assert_int_equal(coding_choose(&likes, CODING_TEXT_MIN), CODING_GZIP);
	assert_int_equal(coding_choose(&likes, CODING_TEXT_MAX), CODING_GZIP);
	assert_int_equal(coding_choose(&likes, CODING_TEXT_MAX + 1), CODING_IDENTITY);
	coding_wishes_add(&refuses, SV("gzip, identity;q=0"));
	assert_int_equal(coding_choose(&refuses, 0), CODING_GZIP);
	assert_int_equal(coding_choose(&refuses, CODING_TEXT_MAX), CODING_GZIP);
	assert_int_equal(coding_choose(&refuses, CODING_TEXT_MAX + 1), CODING_IDENTITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_content_encoding),
		cmocka_unit_test(test_accept_encoding),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
