/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/upstream/certificate.h"
#include "gateway/upstream/tls.h"

/* One key for all certificates: making one is the slow part. */
static EVP_PKEY *key;

/* What subjectAltName says, in OpenSSL's configuration syntax; NULL: no such extension. */
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
	assert_false(names_say("IP:192.0.2.1,email:a@example.org,URI:xmpp:example.org",
			       "example.org"));
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
	/* The name is an IA5String (RFC 4985, 2); another type is another thing. */
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
	/* Some other kind of name that says the same. */
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
	X509 *certificate = certificate_new("cn.test", "DNS:a.test,IP:192.0.2.1,DNS:*.b.test," SRV_NAME
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

/* A handshake with a server that shows @certificate, in memory. Returns what SSL_do_handshake() of
 * @client gave at last. */
static int handshake(SSL *client, X509 *certificate, int max_version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *server;
	BIO *client_bio, *server_bio;
	int r = 0;

	assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	/* Old versions are below Debian's security level; the client must refuse them by itself. */
	SSL_CTX_set_security_level(ctx, 0);
	assert_int_equal(SSL_CTX_set_min_proto_version(ctx, 0), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, max_version), 1);
	server = SSL_new(ctx);
	assert_int_equal(BIO_new_bio_pair(&client_bio, 0, &server_bio, 0), 1);
	SSL_set_bio(client, client_bio, client_bio);
	SSL_set_bio(server, server_bio, server_bio);
	SSL_set_accept_state(server);
	for (int i = 0; i < 10 && r != 1; i++) {
		r = SSL_do_handshake(client);
		if (r != 1 && SSL_get_error(client, r) != SSL_ERROR_WANT_READ) {
			break;
		}
		(void)SSL_do_handshake(server);
	}
	SSL_free(server);
	SSL_CTX_free(ctx);
	return r;
}

struct trust {
	char file[64];
	struct tls_store *store;
};

static void trust_init(struct trust *trust, X509 *certificate)
{
	FILE *out;
	int fd;

	(void)snprintf(trust->file, sizeof(trust->file), "/tmp/test-certificate-XXXXXX");
	fd = mkstemp(trust->file);
	assert_true(fd >= 0);
	out = fdopen(fd, "w");
	assert_int_equal(PEM_write_X509(out, certificate), 1);
	fclose(out);
	assert_int_equal(tls_store_new(&trust->store), 0);
}

static void trust_deinit(struct trust *trust)
{
	unlink(trust->file);
	tls_store_free(trust->store);
}

/* The outcome of a client that trusts @certificate alone and wants @domain. */
static struct failure connect_to(X509 *certificate, const char *domain)
{
	struct failure failure = {.kind = FAILURE_NONE};
	struct trust trust;
	SSL *ssl;

	trust_init(&trust, certificate);
	assert_int_equal(tls_connection_new(trust.store, domain, trust.file, true, &ssl), 0);
	if (handshake(ssl, certificate, 0) != 1) {
		tls_failure(ssl, domain, &failure);
	}
	SSL_free(ssl);
	trust_deinit(&trust);
	return failure;
}

static void test_handshake(void **state)
{
	X509 *certificate = certificate_new("x", "DNS:example.org,DNS:*.b.test", -10, 3600);
	struct failure failure = connect_to(certificate, "example.org");

	(void)state;
	assert_int_equal(failure.kind, FAILURE_NONE);
	failure = connect_to(certificate, "a.b.test");
	assert_int_equal(failure.kind, FAILURE_NONE);
	failure = connect_to(certificate, "example.com");
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_NAME);
	assert_string_equal(failure.detail,
			    "names in the certificate: example.org,*.b.test; wanted: example.com");
	X509_free(certificate);
}

static void test_handshake_dates(void **state)
{
	X509 *certificate = certificate_new("x", "DNS:example.org", -7200, -3600);
	struct failure failure = connect_to(certificate, "example.org");

	(void)state;
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_EXPIRED);
	assert_ptr_equal(strstr(failure.detail, "it expired on 20"), failure.detail);
	X509_free(certificate);
	certificate = certificate_new("x", "DNS:example.org", 3600, 7200);
	failure = connect_to(certificate, "example.org");
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_EXPIRED);
	assert_ptr_equal(strstr(failure.detail, "it is valid from 20"), failure.detail);
	X509_free(certificate);
}

static void test_handshake_untrusted(void **state)
{
	X509 *certificate = certificate_new("stranger", "DNS:example.org", -10, 3600);
	X509 *trusted = certificate_new("friend", "DNS:friend.test", -10, 3600);
	struct failure failure;
	struct trust trust;
	SSL *ssl;

	(void)state;
	trust_init(&trust, trusted);
	assert_int_equal(tls_connection_new(trust.store, "example.org", trust.file, true, &ssl), 0);
	assert_int_not_equal(handshake(ssl, certificate, 0), 1);
	tls_failure(ssl, "example.org", &failure);
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_UNTRUSTED);
	assert_non_null(strstr(failure.detail, "stranger"));
	SSL_free(ssl);
	/* The system's store knows it no better. */
	assert_int_equal(tls_connection_new(trust.store, "example.org", NULL, true, &ssl), 0);
	assert_int_not_equal(handshake(ssl, certificate, 0), 1);
	tls_failure(ssl, "example.org", &failure);
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_UNTRUSTED);
	SSL_free(ssl);
	/* Without verification neither trust nor name counts. */
	assert_int_equal(tls_connection_new(trust.store, "example.com", NULL, false, &ssl), 0);
	assert_int_equal(handshake(ssl, certificate, 0), 1);
	assert_string_equal(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "example.com");
	SSL_free(ssl);
	trust_deinit(&trust);
	X509_free(certificate);
	X509_free(trusted);
}

static void test_handshake_version(void **state)
{
	X509 *certificate = certificate_new("x", "DNS:example.org", -10, 3600);
	struct failure failure;
	struct trust trust;
	SSL *ssl;

	(void)state;
	trust_init(&trust, certificate);
	assert_int_equal(tls_connection_new(trust.store, "example.org", trust.file, true, &ssl), 0);
	assert_int_equal(handshake(ssl, certificate, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_version(ssl), TLS1_2_VERSION);
	SSL_free(ssl);
	assert_int_equal(tls_connection_new(trust.store, "example.org", trust.file, true, &ssl), 0);
	SSL_set_security_level(ssl, 0);
	assert_int_not_equal(handshake(ssl, certificate, TLS1_1_VERSION), 1);
	tls_failure(ssl, "example.org", &failure);
	assert_int_equal(failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_true(failure.detail[0]);
	SSL_free(ssl);
	trust_deinit(&trust);
	X509_free(certificate);
}

static void test_bad_ca_file(void **state)
{
	struct tls_store *store;
	SSL *ssl = NULL;

	(void)state;
	assert_int_equal(tls_store_new(&store), 0);
	assert_int_equal(tls_connection_new(store, "a.test", "/nonexistent.pem", true, &ssl),
			 -EINVAL);
	assert_int_equal(tls_connection_new(store, "a.test", "/dev/null", true, &ssl), -EINVAL);
	assert_null(ssl);
	assert_null(tls_store_free(store));
	assert_null(tls_store_free(NULL));
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
		cmocka_unit_test(test_common_name_is_nothing),
		cmocka_unit_test(test_srv_name),
		cmocka_unit_test(test_xmpp_addr),
		cmocka_unit_test(test_embedded_nul),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_handshake_dates),
		cmocka_unit_test(test_handshake_untrusted),
		cmocka_unit_test(test_handshake_version),
		cmocka_unit_test(test_bad_ca_file),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
