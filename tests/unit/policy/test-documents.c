/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <expat.h>

#include "policy/documents.h"

static struct origin_list made(const char *const *texts, size_t n)
{
	struct origin_list list;
	size_t bad;

	assert_int_equal(origin_list_init(&list, texts, n, &bad), 0);
	return list;
}

static void assert_document(const struct buffer *document, const char *expected)
{
	struct sv text = buffer_sv(document);
	XML_Parser parser = XML_ParserCreate(NULL);

	if (!sv_eq(text, sv_from(expected))) {
		fail_msg("got\n%.*s\nexpected\n%s", SV_ARGS(text), expected);
	}
	assert_non_null(parser);
	assert_int_equal(XML_Parse(parser, text.data, (int)text.n, 1), XML_STATUS_OK);
	XML_ParserFree(parser);
}

#define CROSSDOMAIN_HEAD                                               \
	"<?xml version=\"1.0\"?>\n"                                    \
	"<!DOCTYPE cross-domain-policy SYSTEM "                        \
	"\"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\">\n" \
	"<cross-domain-policy>\n"                                      \
	"  <site-control permitted-cross-domain-policies=\"master-only\"/>\n"
#define ACCESS(domain, secure) \
	"  <allow-access-from domain=\"" domain "\" secure=\"" secure "\"/>\n"
#define HEADERS(domain, secure)                               \
	"  <allow-http-request-headers-from domain=\"" domain \
	"\" headers=\"Content-Type\" secure=\"" secure "\"/>\n"
#define CROSSDOMAIN_TAIL "</cross-domain-policy>\n"

static void check_crossdomain(const char *const *texts, size_t n, const char *expected)
{
	struct origin_list list = made(texts, n);
	struct buffer document = BUFFER_INIT;

	assert_int_equal(documents_crossdomain(&list, &document), 0);
	assert_document(&document, expected);
	buffer_deinit(&document);
	origin_list_deinit(&list);
}

static void test_crossdomain(void **state)
{
	static const char *const any[] = {"*"};
	/* Ports and case do not count; one origin without TLS makes its host one without TLS. */
	static const char *const some[] = {
		"https://a.example",      "https://b.example:8443",  "http://B.example",
		"capacitor://localhost",  "https://a.example:444",   "http://[2001:db8::1]:80",
		"http://[2001:db8::1]:1", "moz-extension://1b2c-3d", "https://aa.example",
	};
	static const char *const none[] = {"capacitor://localhost"};

	(void)state;
	check_crossdomain(any, 1,
			  CROSSDOMAIN_HEAD ACCESS("*", "false") HEADERS("*", "false")
				  CROSSDOMAIN_TAIL);
	check_crossdomain(some, ARRAY_LENGTH(some),
			  CROSSDOMAIN_HEAD ACCESS("a.example", "true") ACCESS("b.example", "false")
				  ACCESS("[2001:db8::1]", "false") ACCESS("aa.example", "true")
					  HEADERS("a.example", "true") HEADERS("b.example", "false")
						  HEADERS("[2001:db8::1]", "false")
							  HEADERS("aa.example", "true")
								  CROSSDOMAIN_TAIL);
	check_crossdomain(none, 1, CROSSDOMAIN_HEAD CROSSDOMAIN_TAIL);
	check_crossdomain(NULL, 0, CROSSDOMAIN_HEAD CROSSDOMAIN_TAIL);
}

#define CLIENTACCESS_HEAD                              \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" \
	"<access-policy>\n"                            \
	"  <cross-domain-access>\n"
#define POLICY(domains, path)                                                \
	"    <policy>\n"                                                     \
	"      <allow-from http-request-headers=\"Content-Type\">\n" domains \
	"      </allow-from>\n"                                              \
	"      <grant-to>\n"                                                 \
	"        <resource path=\"" path "\" include-subpaths=\"false\"/>\n" \
	"      </grant-to>\n"                                                \
	"    </policy>\n"
#define DOMAIN(uri) "        <domain uri=\"" uri "\"/>\n"
#define CLIENTACCESS_TAIL            \
	"  </cross-domain-access>\n" \
	"</access-policy>\n"

static void check_clientaccess(const char *const *texts, size_t n, const char *path,
			       const char *expected)
{
	struct origin_list list = made(texts, n);
	struct buffer document = BUFFER_INIT;

	assert_int_equal(documents_clientaccesspolicy(&list, path, &document), 0);
	assert_document(&document, expected);
	buffer_deinit(&document);
	origin_list_deinit(&list);
}

static void test_clientaccesspolicy(void **state)
{
	static const char *const any[] = {"*"};
	static const char *const some[] = {"https://a.example", "capacitor://localhost",
					   "http://b.example:8080"};
	static const char *const none[] = {"capacitor://localhost"};

	(void)state;
	check_clientaccess(any, 1, "/http-bind",
			   CLIENTACCESS_HEAD POLICY(DOMAIN("*") DOMAIN("http://*"), "/http-bind")
				   CLIENTACCESS_TAIL);
	check_clientaccess(some, 3, "/a&b<c>\"",
			   CLIENTACCESS_HEAD POLICY(DOMAIN("https://a.example")
							    DOMAIN("http://b.example:8080"),
						    "/a&amp;b&lt;c&gt;&quot;") CLIENTACCESS_TAIL);
	check_clientaccess(none, 1, "/http-bind", CLIENTACCESS_HEAD CLIENTACCESS_TAIL);
	check_clientaccess(NULL, 0, "/http-bind", CLIENTACCESS_HEAD CLIENTACCESS_TAIL);
}

static void test_appends(void **state)
{
	struct origin_list list = made(NULL, 0);
	struct buffer document = BUFFER_INIT;

	(void)state;
	assert_int_equal(buffer_append_sv(&document, SV("before")), 0);
	assert_int_equal(documents_crossdomain(&list, &document), 0);
	assert_true(sv_starts_with(buffer_sv(&document), SV("before<?xml")));
	buffer_deinit(&document);
	origin_list_deinit(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crossdomain),
		cmocka_unit_test(test_clientaccesspolicy),
		cmocka_unit_test(test_appends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
