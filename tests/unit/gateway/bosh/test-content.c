/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/bosh/content.h"

/* XEP-0124, "Session Creation Request": `content`. */
static void test_content(void **state)
{
	static const char *const rows[][2] = {
		{"", "text/xml; charset=utf-8"},
		{"text/xml", "text/xml; charset=utf-8"},
		{"text/xml; charset=utf-8", "text/xml; charset=utf-8"},
		{"Application/XML;charset=\"UTF-8\"", "application/xml; charset=utf-8"},
		{" text/plain ; charset=utf-8 ", "text/plain; charset=utf-8"},
		/* Any other charset is refused. */
		{"text/plain; charset=iso-8859-1", "text/xml; charset=utf-8"},
		{"text/plain; charset=utf-8; x=y", "text/xml; charset=utf-8"},
		{"text/html", "text/html; charset=utf-8"},
		{"TEXT/html; charset=UTF-8", "text/html; charset=utf-8"},
		{"application/xhtml+xml", "application/xhtml+xml; charset=utf-8"},
		{"application/soap+xml", "application/soap+xml; charset=utf-8"},
		{"application/octet-stream", "application/octet-stream; charset=utf-8"},
		/* Types that are not on the list, what is no type, and what would be a header of
		 * its own. */
		{"text/javascript", "text/xml; charset=utf-8"},
		{"image/svg+xml", "text/xml; charset=utf-8"},
		{"text/plain\r\nSet-Cookie: a=b", "text/xml; charset=utf-8"},
		{"text/plain; charset=utf-8\r\nSet-Cookie: a=b", "text/xml; charset=utf-8"},
		{"text", "text/xml; charset=utf-8"},
		{";", "text/xml; charset=utf-8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_string_equal(bosh_content_type(sv_from(rows[i][0])), rows[i][1]);
	}
	assert_string_equal(bosh_content_type(SV_EMPTY), BOSH_CONTENT_DEFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_content)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
