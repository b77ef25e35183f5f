/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/upstream/tls/certificate.h"

/* One key for all certificates: making a key is slow. */
static EVP_PKEY *key;

/* @names is subjectAltName in OpenSSL's configuration syntax; NULL: no such extension. */
static X509 *certificate_new(const char *common_name, const char *names, long from_s, long to_s)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	X509V3_CTX context;

	assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), from_s));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), to_s));
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
						    (const unsigned char *)common_name, -1, -1, 0),
			 1);
	assert_int_equal(X509_set_issuer_name(certificate, name), 1);
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	if (names) {
		X509_EXTENSION *extension;

		X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
		extension = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
		assert_non_null(extension);
		assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	return certificate;
}

static bool names_say(const char *names, const char *domain)
{
	X509 *certificate = certificate_new("certificate.test", names, 0, 3600);
	bool result = certificate_names(certificate, domain);

	X509_free(certificate);
	return result;
}

#define SRV_NAME "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:"
#define XMPP_NAME "otherName:1.3.6.1.5.5.7.8.5;UTF8:"

static void test_exact(void **state)
{
	(void)state;
	assert_true(names_say("DNS:example.org", "example.org"));
	assert_true(names_say("DNS:other.example,DNS:example.org", "example.org"));
	assert_true(names_say("DNS:localhost", "localhost"));
	assert_false(names_say("DNS:example.org", "example.com"));
	assert_false(names_say("DNS:example.org", "a.example.org"));
	assert_false(names_say("DNS:a.example.org", "example.org"));
	assert_false(names_say("DNS:example.or", "example.org"));
	assert_false(names_say("DNS:example.orgg", "example.org"));
	assert_false(
		names_say("IP:192.0.2.1,email:a@example.org,URI:xmpp:example.org", "example.org"));
}

static void test_case(void **state)
{
	(void)state;
	assert_true(names_say("DNS:Example.ORG", "example.org"));
	assert_true(names_say("DNS:*.Example.ORG", "xmpp.example.org"));
	assert_true(names_say(SRV_NAME "_XMPP-Client.Example.ORG", "example.org"));
	assert_true(names_say(XMPP_NAME "Example.ORG", "example.org"));
}

static void test_wildcard(void **state)
{
	(void)state;
	assert_true(names_say("DNS:*.example.org", "xmpp.example.org"));
	assert_true(names_say("DNS:*.example.org", "xn--bcher-kva.example.org"));
	/* Exactly one label. */
	assert_false(names_say("DNS:*.example.org", "example.org"));
	assert_false(names_say("DNS:*.example.org", "a.xmpp.example.org"));
	assert_false(names_say("DNS:*.example.org", "xmppexample.org"));
	/* Only as the whole left-most label. */
	assert_false(names_say("DNS:x*.example.org", "xmpp.example.org"));
	assert_false(names_say("DNS:*p.example.org", "xmpp.example.org"));
	assert_false(names_say("DNS:x*p.example.org", "xmpp.example.org"));
	assert_false(names_say("DNS:xmpp.*.org", "xmpp.example.org"));
	assert_false(names_say("DNS:*.*.org", "xmpp.example.org"));
	assert_false(names_say("DNS:**.example.org", "xmpp.example.org"));
	/* Never for a whole top-level domain, nor for everything. */
	assert_false(names_say("DNS:*.org", "example.org"));
	assert_false(names_say("DNS:*", "localhost"));
	assert_false(names_say("DNS:*.", "localhost"));
}

/* An address is named by iPAddress alone. */
static void test_address(void **state)
{
	(void)state;
	assert_true(names_say("IP:192.0.2.1", "192.0.2.1"));
	assert_true(names_say("DNS:a.example,IP:2001:db8::1", "[2001:db8::1]"));
	assert_false(names_say("IP:192.0.2.1", "192.0.2.2"));
	assert_false(names_say("IP:192.0.2.1", "[2001:db8::1]"));
	assert_false(names_say("DNS:192.0.2.1", "192.0.2.1"));
	assert_false(names_say("DNS:*.0.2.1", "192.0.2.1"));
	assert_false(names_say(XMPP_NAME "192.0.2.1", "192.0.2.1"));
	assert_false(names_say(NULL, "192.0.2.1"));
	assert_true(names_say("DNS:chat", "chat"));
	assert_true(names_say("DNS:a_b.example", "a_b.example"));
}

static void test_common_name_is_nothing(void **state)
{
	X509 *certificate = certificate_new("example.org", NULL, 0, 3600);

	(void)state;
	assert_false(certificate_names(certificate, "example.org"));
	X509_free(certificate);
	certificate = certificate_new("example.org", "DNS:other.example", 0, 3600);
	assert_false(certificate_names(certificate, "example.org"));
	assert_true(certificate_names(certificate, "other.example"));
	X509_free(certificate);
}

static void test_srv_name(void **state)
{
	(void)state;
	assert_true(names_say(SRV_NAME "_xmpp-client.example.org", "example.org"));
	assert_false(names_say(SRV_NAME "_xmpp-server.example.org", "example.org"));
	assert_false(names_say(SRV_NAME "_xmpp-client.example.com", "example.org"));
	assert_false(names_say(SRV_NAME "_xmpp-client.", "example.org"));
	assert_false(names_say(SRV_NAME "example.org", "example.org"));
	assert_false(names_say(SRV_NAME "_xmpp-client.*.example.org", "a.example.org"));
	/* The name is an IA5String (RFC 4985, 2); other types do not count. */
	assert_false(names_say("otherName:1.3.6.1.5.5.7.8.7;UTF8:_xmpp-client.example.org",
			       "example.org"));
}

static void test_xmpp_addr(void **state)
{
	(void)state;
	assert_true(names_say(XMPP_NAME "example.org", "example.org"));
	/* OpenSSL's syntax takes Latin-1 here; the certificate has UTF-8. */
	assert_true(names_say(XMPP_NAME "b\xfc"
					"cher.example",
			      "xn--bcher-kva.example"));
	assert_false(names_say(XMPP_NAME "juliet@example.org", "example.org"));
	assert_false(names_say(XMPP_NAME "example.org/balcony", "example.org"));
	assert_false(names_say(XMPP_NAME "*.example.org", "a.example.org"));
	assert_false(names_say("otherName:1.3.6.1.5.5.7.8.5;IA5STRING:example.org", "example.org"));
	/* The same text in another kind of name. */
	assert_false(names_say("otherName:1.3.6.1.5.5.7.8.9;UTF8:example.org", "example.org"));
}

/* "example.org\0.attacker.test" is not example.org. */
static void test_embedded_nul(void **state)
{
	X509 *certificate = certificate_new("x", NULL, 0, 3600);
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	static const char value[] = "example.org\0.attacker.test";
	char list[64];

	(void)state;
	assert_int_equal(ASN1_STRING_set(text, value, sizeof(value) - 1), 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, text);
	assert_true(sk_GENERAL_NAME_push(names, name) > 0);
	assert_int_equal(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0), 1);
	assert_false(certificate_names(certificate, "example.org"));
	certificate_list_names(certificate, list, sizeof(list));
	assert_string_equal(list, "example.org?.attacker.test");
	GENERAL_NAMES_free(names);
	X509_free(certificate);
}

static void test_list(void **state)
{
	X509 *certificate = certificate_new("cn.test",
					    "DNS:a.test,IP:192.0.2.1,DNS:*.b.test," SRV_NAME
					    "_xmpp-client.c.test," XMPP_NAME "\xe4.test",
					    0, 3600);
	static const char all[] = "a.test,*.b.test,_xmpp-client.c.test,??.test";
	char text[128];

	(void)state;
	certificate_list_names(certificate, text, sizeof(text));
	assert_string_equal(text, all);
	certificate_list_names(certificate, text, sizeof(all));
	assert_string_equal(text, all);
	certificate_list_names(certificate, text, sizeof(all) - 1);
	assert_int_equal(strlen(text), sizeof(all) - 2);
	certificate_list_names(certificate, text, 1);
	assert_string_equal(text, "");
	X509_free(certificate);
	certificate = certificate_new("cn.test", "IP:192.0.2.1", 0, 3600);
	certificate_list_names(certificate, text, sizeof(text));
	assert_string_equal(text, "none");
	X509_free(certificate);
}

static void on_name(void *userdata, enum certificate_name_kind kind, struct sv name)
{
	static const char *const kinds[] = {
		[CERTIFICATE_NAME_DNS] = "dns",
		[CERTIFICATE_NAME_SRV] = "srv",
		[CERTIFICATE_NAME_XMPP] = "xmpp",
	};
	char *text = userdata;
	size_t n = strlen(text);

	snprintf(text + n, 128 - n, "%s %.*s\n", kinds[kind], SV_ARGS(name));
}

static void test_each_name(void **state)
{
	X509 *certificate = certificate_new("cn.test",
					    "DNS:a.test,IP:192.0.2.1,DNS:*.b.test," SRV_NAME
					    "_xmpp-client.c.test," XMPP_NAME "d.test",
					    0, 3600);
	char text[128] = "";

	(void)state;
	certificate_each_name(certificate, on_name, text);
	assert_string_equal(text,
			    "dns a.test\ndns *.b.test\nsrv _xmpp-client.c.test\nxmpp d.test\n");
	X509_free(certificate);
}

static int make_key(void **state)
{
	(void)state;
	key = EVP_EC_gen("P-256");
	return key ? 0 : -1;
}

static int free_key(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_wildcard),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_common_name_is_nothing),
		cmocka_unit_test(test_srv_name),
		cmocka_unit_test(test_xmpp_addr),
		cmocka_unit_test(test_embedded_nul),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_each_name),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
