/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <expat.h>

#include "policy/cors.h"
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
#define HEADERS(domain, secure)                                                                    \
	"  <allow-http-request-headers-from domain=\"" domain "\" headers=\"" CORS_HEADERS_DEFAULT \
	"\" secure=\"" secure "\"/>\n"
#define CROSSDOMAIN_TAIL "</cross-domain-policy>\n"

/* Makes one of the documents from @origins. */
struct maker {
	struct ports ports;
	int (*make)(const struct maker *maker, const struct origin_list *origins,
		    struct buffer *ret_document);
	struct sv path;
};

static void check(const struct maker *maker, const char *const *texts, size_t n,
		  const char *expected)
{
	struct origin_list list = made(texts, n);
	struct buffer document = BUFFER_INIT;

	assert_int_equal(maker->make(maker, &list, &document), 0);
	assert_document(&document, expected);
	buffer_deinit(&document);
	origin_list_deinit(&list);
}

static int make_crossdomain(const struct maker *maker, const struct origin_list *origins,
			    struct buffer *ret_document)
{
	(void)maker;
	return documents_crossdomain(origins, ret_document);
}

static void test_crossdomain(void **state)
{
	static const struct maker maker = {.make = make_crossdomain};
	static const char *const any[] = {"https://a.example", "*"};
	/* Ports and case do not count; one origin without TLS makes its host one without TLS. */
	static const char *const some[] = {
		"https://a.example",      "https://b.example:8443",  "http://B.example",
		"capacitor://localhost",  "https://a.example:444",   "http://[2001:db8::1]:80",
		"http://[2001:db8::1]:1", "moz-extension://1b2c-3d", "https://aa.example",
		"https://*.a.example:*",  "capacitor://aa.example",
	};
	static const char *const none[] = {"capacitor://localhost"};

	(void)state;
	check(&maker, any, 2,
	      CROSSDOMAIN_HEAD ACCESS("*", "false") HEADERS("*", "false") CROSSDOMAIN_TAIL);
	check(&maker, some, ARRAY_LENGTH(some),
	      CROSSDOMAIN_HEAD ACCESS("a.example", "true") ACCESS("b.example", "false")
		      ACCESS("[2001:db8::1]", "false") ACCESS("aa.example", "true")
			      ACCESS("*.a.example", "true") HEADERS("a.example", "true") HEADERS(
				      "b.example", "false") HEADERS("[2001:db8::1]", "false")
				      HEADERS("aa.example", "true") HEADERS("*.a.example", "true")
					      CROSSDOMAIN_TAIL);
	check(&maker, none, 1, CROSSDOMAIN_HEAD CROSSDOMAIN_TAIL);
	check(&maker, NULL, 0, CROSSDOMAIN_HEAD CROSSDOMAIN_TAIL);
}

static int make_flash_sockets(const struct maker *maker, const struct origin_list *origins,
			      struct buffer *ret_document)
{
	return documents_flash_sockets(origins, &maker->ports, ret_document);
}

#define SOCKETS(domain, ports, secure)                                                       \
	"  <allow-access-from domain=\"" domain "\" to-ports=\"" ports "\" secure=\"" secure \
	"\"/>\n"

static void test_flash_sockets(void **state)
{
	static struct ports_range ranges[] = {{443, 443}, {5280, 5282}};
	static const struct maker two = {.ports = {ranges, 2}, .make = make_flash_sockets};
	static const struct maker none = {.make = make_flash_sockets};
	static const char *const any[] = {"*"};
	static const char *const some[] = {"https://a.example", "http://*.b.example"};

	(void)state;
	check(&two, any, 1,
	      CROSSDOMAIN_HEAD SOCKETS("*", "443,5280-5282", "false") CROSSDOMAIN_TAIL);
	check(&two, some, 2,
	      CROSSDOMAIN_HEAD SOCKETS("a.example", "443,5280-5282", "true")
		      SOCKETS("*.b.example", "443,5280-5282", "false") CROSSDOMAIN_TAIL);
	check(&two, NULL, 0, CROSSDOMAIN_HEAD CROSSDOMAIN_TAIL);
	check(&none, any, 1, CROSSDOMAIN_HEAD CROSSDOMAIN_TAIL);
}

#define CLIENTACCESS_HEAD                              \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" \
	"<access-policy>\n"                            \
	"  <cross-domain-access>\n"
#define POLICY(domains, resources)                                                       \
	"    <policy>\n"                                                                 \
	"      <allow-from http-request-headers=\"" CORS_HEADERS_DEFAULT "\">\n" domains \
	"      </allow-from>\n"                                                          \
	"      <grant-to>\n" resources "      </grant-to>\n"                             \
	"    </policy>\n"
#define RESOURCE(path) "        <resource path=\"" path "\" include-subpaths=\"true\"/>\n"
#define SOCKET(port) "        <socket-resource port=\"" port "\" protocol=\"tcp\"/>\n"
#define DOMAIN(uri) "        <domain uri=\"" uri "\"/>\n"
#define CLIENTACCESS_TAIL            \
	"  </cross-domain-access>\n" \
	"</access-policy>\n"
#define ANY_POLICIES(resources)                            \
	POLICY(DOMAIN("*") DOMAIN("https://*"), resources) \
	POLICY(DOMAIN("*") DOMAIN("http://*"), resources)

static int make_clientaccess(const struct maker *maker, const struct origin_list *origins,
			     struct buffer *ret_document)
{
	return documents_clientaccesspolicy(origins, maker->path, ret_document);
}

static void test_clientaccesspolicy(void **state)
{
	static const struct maker plain = {.make = make_clientaccess,
					   .path = {"/http-bind", sizeof("/http-bind") - 1}};
	static const struct maker odd = {.make = make_clientaccess,
					 .path = {"/a&b<c>\"", sizeof("/a&b<c>\"") - 1}};
	static const char *const any[] = {"*"};
	static const char *const some[] = {"https://a.example", "capacitor://localhost",
					   "http://b.example:8080", "https://*.a.example:444",
					   "http://localhost:*"};
	static const char *const secure[] = {"https://a.example"};
	static const char *const none[] = {"capacitor://localhost"};

	(void)state;
	check(&plain, any, 1,
	      CLIENTACCESS_HEAD ANY_POLICIES(RESOURCE("/http-bind")) CLIENTACCESS_TAIL);
	check(&odd, some, ARRAY_LENGTH(some),
	      CLIENTACCESS_HEAD POLICY(DOMAIN("https://a.example")
					       DOMAIN("https://*.a.example:444"),
				       RESOURCE("/a&amp;b&lt;c&gt;&quot;"))
		      POLICY(DOMAIN("http://b.example:8080") DOMAIN("http://localhost"),
			     RESOURCE("/a&amp;b&lt;c&gt;&quot;")) CLIENTACCESS_TAIL);
	check(&plain, secure, 1,
	      CLIENTACCESS_HEAD POLICY(DOMAIN("https://a.example"), RESOURCE("/http-bind"))
		      CLIENTACCESS_TAIL);
	check(&plain, none, 1, CLIENTACCESS_HEAD CLIENTACCESS_TAIL);
	check(&plain, NULL, 0, CLIENTACCESS_HEAD CLIENTACCESS_TAIL);
}

static int make_silverlight_sockets(const struct maker *maker, const struct origin_list *origins,
				    struct buffer *ret_document)
{
	return documents_silverlight_sockets(origins, &maker->ports, ret_document);
}

static void test_silverlight_sockets(void **state)
{
	static struct ports_range ranges[] = {{4502, 4502}, {4510, 4534}};
	static const struct maker two = {.ports = {ranges, 2}, .make = make_silverlight_sockets};
	static const struct maker none = {.make = make_silverlight_sockets};
	static const char *const any[] = {"*"};
	static const char *const some[] = {"http://a.example"};

	(void)state;
	check(&two, any, 1,
	      CLIENTACCESS_HEAD ANY_POLICIES(SOCKET("4502") SOCKET("4510-4534")) CLIENTACCESS_TAIL);
	check(&two, some, 1,
	      CLIENTACCESS_HEAD POLICY(DOMAIN("http://a.example"),
				       SOCKET("4502") SOCKET("4510-4534")) CLIENTACCESS_TAIL);
	check(&none, any, 1, CLIENTACCESS_HEAD CLIENTACCESS_TAIL);
}

#define XRD(links)                                     \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" \
	"<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n" links "</XRD>\n"
#define XRD_BOSH(url) "  <Link rel=\"urn:xmpp:alt-connections:xbosh\" href=\"" url "\"/>\n"
#define XRD_WEBSOCKET(url) "  <Link rel=\"urn:xmpp:alt-connections:websocket\" href=\"" url "\"/>\n"
#define JRD(links) "{\n  \"links\": [" links "\n  ]\n}\n"
#define JRD_BOSH(url) "\n    {\"rel\": \"urn:xmpp:alt-connections:xbosh\", \"href\": \"" url "\"}"
#define JRD_WEBSOCKET(url) \
	"\n    {\"rel\": \"urn:xmpp:alt-connections:websocket\", \"href\": \"" url "\"}"

static void test_host_meta(void **state)
{
	static const struct {
		const char *bosh, *websocket, *xrd, *jrd;
	} rows[] = {
		{"https://a.example/b?c&d", "wss://a.example/w",
		 XRD(XRD_BOSH("https://a.example/b?c&amp;d") XRD_WEBSOCKET("wss://a.example/w")),
		 JRD(JRD_BOSH("https://a.example/b?c&d") "," JRD_WEBSOCKET("wss://a.example/w"))},
		{"https://a.example/b", "", XRD(XRD_BOSH("https://a.example/b")),
		 JRD(JRD_BOSH("https://a.example/b"))},
		{"", "wss://a.example/w", XRD(XRD_WEBSOCKET("wss://a.example/w")),
		 JRD(JRD_WEBSOCKET("wss://a.example/w"))},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct buffer xrd = BUFFER_INIT, jrd = BUFFER_INIT;

		assert_int_equal(documents_host_meta(rows[i].bosh, rows[i].websocket, &xrd), 0);
		assert_document(&xrd, rows[i].xrd);
		assert_int_equal(documents_host_meta_json(rows[i].bosh, rows[i].websocket, &jrd),
				 0);
		assert_true(sv_eq(buffer_sv(&jrd), sv_from(rows[i].jrd)));
		buffer_deinit(&xrd);
		buffer_deinit(&jrd);
	}
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
		cmocka_unit_test(test_flash_sockets),
		cmocka_unit_test(test_clientaccesspolicy),
		cmocka_unit_test(test_silverlight_sockets),
		cmocka_unit_test(test_host_meta),
		cmocka_unit_test(test_appends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
