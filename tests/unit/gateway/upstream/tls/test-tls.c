/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "tests/unit/gateway/upstream/tls-case.h"

static struct identity authority, stranger;
static char authority_file[TRUST_PATH_SIZE];
static struct tls_store *store;

/* The outcome of a client that trusts the authority and wants @domain, at @server. */
static struct outcome ask(SSL_CTX *server, const char *domain)
{
	return visit(store,
		     &(struct tls_policy){
			     .domain = domain, .ca_file = authority_file, .must_verify = true},
		     server);
}

/* The same, at a server that shows @identity. */
static struct outcome show(const struct identity *identity, const struct identity *issuer,
			   const char *domain)
{
	SSL_CTX *server = server_new(identity, issuer, 0);
	struct outcome outcome = ask(server, domain);

	SSL_CTX_free(server);
	return outcome;
}

/* The same, for a certificate made from @spec. */
static struct failure show_new(const struct identity_spec *spec)
{
	struct identity identity = identity_new(spec);
	struct outcome outcome = show(&identity, NULL, "example.org");

	assert_int_equal(outcome.is_open, outcome.failure.kind == FAILURE_NONE);
	identity_free(&identity);
	return outcome.failure;
}

static void test_names(void **state)
{
	struct identity identity = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:example.org,DNS:*.b.test", .issuer = &authority});
	struct outcome outcome = show(&identity, NULL, "example.org");

	(void)state;
	assert_true(outcome.is_open);
	assert_true(show(&identity, NULL, "a.b.test").is_open);
	outcome = show(&identity, NULL, "example.com");
	assert_false(outcome.is_open);
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_NAME);
	assert_string_equal(outcome.failure.detail,
			    "names in the certificate: example.org,*.b.test; wanted: example.com");
	identity_free(&identity);

	struct failure failure =
		show_new(&(struct identity_spec){.name = "example.org", .issuer = &authority});

	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_NAME);
	assert_string_equal(failure.detail, "names in the certificate: none; wanted: example.org");
}

static void test_dates(void **state)
{
	struct identity_spec spec = {.name = "x", .names = "DNS:example.org", .issuer = &authority};
	struct failure failure;

	(void)state;
	spec.from_s = -7200;
	spec.to_s = -3600;
	failure = show_new(&spec);
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_EXPIRED);
	assert_ptr_equal(strstr(failure.detail, "it expired on 20"), failure.detail);
	spec.from_s = 3600;
	spec.to_s = 7200;
	failure = show_new(&spec);
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_EARLY);
	assert_ptr_equal(strstr(failure.detail, "it is valid from 20"), failure.detail);
}

static void test_dates_of_an_issuer(void **state)
{
	static const struct {
		long from_s, to_s;
		enum failure_kind kind;
	} rows[] = {
		{-7200, -3600, FAILURE_CERTIFICATE_EXPIRED},
		{3600, 7200, FAILURE_CERTIFICATE_EARLY},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct identity issuer =
			identity_new(&(struct identity_spec){.name = "issuer",
							     .is_authority = true,
							     .issuer = &authority,
							     .from_s = rows[i].from_s,
							     .to_s = rows[i].to_s});
		struct identity identity = identity_new(&(struct identity_spec){
			.name = "x", .names = "DNS:example.org", .issuer = &issuer});
		struct outcome outcome = show(&identity, &issuer, "example.org");

		assert_int_equal(outcome.failure.kind, rows[i].kind);
		assert_ptr_equal(strstr(outcome.failure.detail, "of an issuer: "),
				 outcome.failure.detail);
		identity_free(&identity);
		identity_free(&issuer);
	}
}

static void test_untrusted(void **state)
{
	struct identity_spec spec = {.name = "x", .names = "DNS:example.org", .issuer = &stranger};
	struct identity identity = identity_new(&spec);
	SSL_CTX *server = server_new(&identity, NULL, 0);
	struct failure failure = show_new(&spec);
	struct outcome outcome;

	(void)state;
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_UNTRUSTED);
	assert_non_null(strstr(failure.detail, "issuer /CN=stranger"));
	/* The whole chain, up to an unknown root. */
	outcome = show(&identity, &stranger, "example.org");
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_UNTRUSTED);
	spec.issuer = NULL;
	failure = show_new(&spec);
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_SELF_SIGNED);
	assert_non_null(strstr(failure.detail, "issuer /CN=x"));
	/* The system's store does not know them either. */
	outcome = visit(store, &(struct tls_policy){.domain = "example.org", .must_verify = true},
			server);
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_UNTRUSTED);
	/* Without verification neither trust nor name is checked. */
	outcome = visit(store, &(struct tls_policy){.domain = "example.com"}, server);
	assert_true(outcome.is_open);
	SSL_CTX_free(server);
	identity_free(&identity);
}

/* The server's own certificate as the trusted authority. */
static void test_trust_itself(void **state)
{
	struct identity identity =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:example.org"});
	SSL_CTX *server = server_new(&identity, NULL, 0);
	char file[TRUST_PATH_SIZE];
	struct tls_policy policy = {.domain = "example.org",
				    .ca_file = trust_file(&identity, file),
				    .must_verify = true};

	(void)state;
	assert_true(visit(store, &policy, server).is_open);
	policy.domain = "example.com";
	assert_int_equal(visit(store, &policy, server).failure.kind, FAILURE_CERTIFICATE_NAME);
	unlink(file);
	SSL_CTX_free(server);
	identity_free(&identity);
}

static void test_weak(void **state)
{
	struct identity_spec spec = {.name = "x", .names = "DNS:example.org", .issuer = &authority};
	struct failure failure;

	(void)state;
	spec.key = EVP_RSA_gen(1024);
	failure = show_new(&spec);
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_WEAK);
	assert_non_null(strstr(failure.detail, "RSA of 1024 bits"));
	EVP_PKEY_free(spec.key);
	spec.key = EVP_RSA_gen(2048);
	assert_int_equal(show_new(&spec).kind, FAILURE_NONE);
	EVP_PKEY_free(spec.key);
	spec.key = NULL;
	spec.digest = EVP_sha1();
	failure = show_new(&spec);
	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_WEAK);
	assert_non_null(strstr(failure.detail, "SHA1"));
}

static void test_purpose(void **state)
{
	struct identity_spec spec = {.name = "x", .names = "DNS:example.org", .issuer = &authority};

	(void)state;
	spec.purposes = "serverAuth";
	assert_int_equal(show_new(&spec).kind, FAILURE_NONE);
	spec.purposes = "clientAuth";
	assert_int_equal(show_new(&spec).kind, FAILURE_CERTIFICATE_INVALID);
}

static void test_version(void **state)
{
	struct identity identity = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:example.org", .issuer = &authority});
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct outcome outcome;
	SSL_CTX *server;
	SSL *client;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		server = server_new(&identity, NULL, versions[i]);
		outcome = ask(server, "example.org");
		assert_true(outcome.is_open);
		assert_int_equal(outcome.version, versions[i]);
		SSL_CTX_free(server);
	}
	/* It must refuse these even without the security level. */
	server = server_new(&identity, NULL, TLS1_1_VERSION);
	assert_int_equal(tls_connection_new(store,
					    &(struct tls_policy){.domain = "example.org",
								 .ca_file = authority_file,
								 .must_verify = true},
					    &client),
			 0);
	SSL_set_security_level(client, 0);
	outcome = meet(client, server);
	assert_int_equal(outcome.failure.kind, FAILURE_TLS_PROTOCOL);
	assert_true(outcome.failure.detail[0]);
	SSL_CTX_free(server);
	identity_free(&identity);
}

static void test_not_tls(void **state)
{
	struct failure failure;
	SSL *client;

	(void)state;
	assert_int_equal(
		tls_connection_new(store, &(struct tls_policy){.domain = "example.org"}, &client),
		0);
	SSL_set_bio(client, BIO_new_mem_buf("HTTP/1.1 400 Bad Request\r\n", -1),
		    BIO_new(BIO_s_null()));
	assert_int_not_equal(SSL_do_handshake(client), 1);
	tls_failure(client, &failure);
	assert_int_equal(failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_string_equal(failure.detail, "what the server sent is not TLS");
	assert_int_equal(ERR_peek_error(), 0);
	assert_null(tls_connection_free(client));
	assert_null(tls_connection_free(NULL));
}

static int refuse_name(SSL *ssl, int *alert, void *userdata)
{
	(void)ssl;
	(void)userdata;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int note_name(SSL *ssl, int *alert, void *userdata)
{
	(void)alert;
	(void)snprintf(userdata, TRUST_PATH_SIZE, "%s",
		       SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	return SSL_TLSEXT_ERR_OK;
}

static void test_sni(void **state)
{
	struct identity identity = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:example.org", .issuer = &authority});
	SSL_CTX *server = server_new(&identity, NULL, 0);
	char name[TRUST_PATH_SIZE] = "";
	struct outcome outcome;

	(void)state;
	SSL_CTX_set_tlsext_servername_callback(server, note_name);
	SSL_CTX_set_tlsext_servername_arg(server, name);
	assert_true(ask(server, "example.org").is_open);
	assert_string_equal(name, "example.org");
	SSL_CTX_set_tlsext_servername_callback(server, refuse_name);
	/* The cached session does not help against an alert. */
	outcome = ask(server, "example.org");
	assert_int_equal(outcome.failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_string_equal(outcome.failure.detail, "the server does not know the domain (SNI)");
	SSL_CTX_free(server);
	identity_free(&identity);
}

/* The protocol that a server is made to choose; NULL: none, with an alert. */
static int choose(SSL *ssl, const unsigned char **out, unsigned char *n_out,
		  const unsigned char *in, unsigned n_in, void *userdata)
{
	const char *choice = userdata;

	(void)ssl;
	(void)in;
	(void)n_in;
	*out = (const unsigned char *)choice;
	*n_out = choice ? (unsigned char)strlen(choice) : 0;
	return choice ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void check_alpn(SSL_CTX *server)
{
	static char xmpp[] = "xmpp-client", http[] = "http/1.1";
	struct tls_policy policy = {.domain = "example.org",
				    .ca_file = authority_file,
				    .must_verify = true,
				    .is_direct = true};
	struct outcome outcome;

	/* A server that ignores ALPN may still be the right one. */
	outcome = visit(store, &policy, server);
	assert_true(outcome.is_open);
	assert_string_equal(outcome.alpn, "");
	SSL_CTX_set_alpn_select_cb(server, choose, xmpp);
	outcome = visit(store, &policy, server);
	assert_true(outcome.is_open);
	assert_string_equal(outcome.alpn, "xmpp-client");
	/* After STARTTLS, ALPN is not used. */
	policy.is_direct = false;
	SSL_CTX_set_alpn_select_cb(server, choose, NULL);
	outcome = visit(store, &policy, server);
	assert_true(outcome.is_open);
	assert_string_equal(outcome.alpn, "");
	policy.is_direct = true;
	outcome = visit(store, &policy, server);
	assert_int_equal(outcome.failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_string_equal(outcome.failure.detail,
			    "the server says that it has no XMPP there (ALPN)");
	SSL_CTX_set_alpn_select_cb(server, choose, http);
	outcome = visit(store, &policy, server);
	assert_int_equal(outcome.failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_string_equal(
		outcome.failure.detail,
		"the server chose another protocol than XMPP (ALPN), or sent a broken extension");
}

static void test_alpn(void **state)
{
	struct identity identity = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:example.org", .issuer = &authority});
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		SSL_CTX *server = server_new(&identity, NULL, versions[i]);

		check_alpn(server);
		SSL_CTX_free(server);
	}
	identity_free(&identity);
}

/* A server whose own certificate proves its name, beside another one of about @n_bytes. */
static struct outcome show_chain(size_t n_bytes)
{
	size_t size = n_bytes + 64;
	char *names = malloc(size);

	assert_non_null(names);
	size_t n = (size_t)snprintf(names, size, "DNS:example.org");

	while (n + 512 < n_bytes) {
		n += (size_t)snprintf(names + n, size - n, ",DNS:%0250d.test", 1);
	}
	struct identity own = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:example.org", .issuer = &authority});
	struct identity bulk = identity_new(
		&(struct identity_spec){.name = "x", .names = names, .issuer = &authority});
	struct outcome outcome = show(&own, &bulk, "example.org");

	free(names);
	identity_free(&own);
	identity_free(&bulk);
	return outcome;
}

/* A certificate of @n_bytes. Signatures have 70 to 72 bytes. */
static struct identity identity_of_size(int n_bytes)
{
	static char names[TLS_OWN_MAX];
	int n_name = n_bytes - 400;

	for (;;) {
		snprintf(names, sizeof(names), "DNS:example.org,DNS:%0*d", n_name, 1);
		struct identity identity = identity_new(
			&(struct identity_spec){.name = "x", .names = names, .issuer = &authority});
		int n = i2d_X509(identity.certificate, NULL);

		if (n == n_bytes) {
			return identity;
		}
		n_name += n_bytes - n;
		identity_free(&identity);
	}
}

static void test_own_bound(void **state)
{
	struct identity fine = identity_of_size(TLS_OWN_MAX);
	struct identity large = identity_of_size(TLS_OWN_MAX + 1);
	SSL_CTX *server = server_new(&large, NULL, 0);
	struct outcome outcome = show(&fine, NULL, "example.org");

	(void)state;
	assert_true(outcome.is_open);
	outcome = show(&large, NULL, "example.org");
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_INVALID);
	assert_string_equal(outcome.failure.detail, "it has too many bytes");
	/* Nor where nothing is verified. */
	outcome = visit(store, &(struct tls_policy){.domain = "example.org"}, server);
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_INVALID);
	SSL_CTX_free(server);
	identity_free(&fine);
	identity_free(&large);
}

static void test_chain_bound(void **state)
{
	struct outcome outcome = show_chain(TLS_CHAIN_MAX - 1024);

	(void)state;
	assert_true(outcome.is_open);
	outcome = show_chain(TLS_CHAIN_MAX + 1024);
	assert_int_equal(outcome.failure.kind, FAILURE_TLS_HANDSHAKE);
	assert_string_equal(outcome.failure.detail, "the server's certificates are too large");
}

/* A server whose certificate is @n_issuers away from the authority. */
static struct outcome show_depth(size_t n_issuers)
{
	struct identity issuers[TLS_CHAIN_DEPTH_MAX + 1];
	struct identity_spec spec = {.is_authority = true, .issuer = &authority};
	char name[32];

	assert_true(n_issuers && n_issuers <= ARRAY_LENGTH(issuers));
	for (size_t i = 0; i < n_issuers; i++) {
		(void)snprintf(name, sizeof(name), "issuer %zu", i);
		spec.name = name;
		issuers[i] = identity_new(&spec);
		spec.issuer = &issuers[i];
	}
	struct identity identity = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:example.org", .issuer = &issuers[n_issuers - 1]});
	SSL_CTX *server = server_new(&identity, NULL, 0);

	for (size_t i = 0; i < n_issuers; i++) {
		assert_int_equal(SSL_CTX_add1_chain_cert(server, issuers[i].certificate), 1);
		identity_free(&issuers[i]);
	}
	const struct tls_policy policy = {
		.domain = "example.org", .ca_file = authority_file, .must_verify = true};
	struct outcome outcome = visit(store, &policy, server);

	SSL_CTX_free(server);
	identity_free(&identity);
	return outcome;
}

static void test_depth_bound(void **state)
{
	struct outcome outcome = show_depth(TLS_CHAIN_DEPTH_MAX);

	(void)state;
	assert_true(outcome.is_open);
	outcome = show_depth(TLS_CHAIN_DEPTH_MAX + 1);
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_INVALID);
	assert_string_equal(outcome.failure.detail, "certificate chain too long");
}

static void test_bad_ca_file(void **state)
{
	struct tls_policy policy = {
		.domain = "a.test", .ca_file = "/nonexistent.pem", .must_verify = true};
	SSL *ssl = NULL;

	(void)state;
	assert_int_equal(tls_connection_new(store, &policy, &ssl), -EINVAL);
	policy.ca_file = "/dev/null";
	assert_int_equal(tls_connection_new(store, &policy, &ssl), -EINVAL);
	assert_null(ssl);
	assert_int_equal(ERR_peek_error(), 0);
	assert_null(tls_store_free(NULL));
}

static int setup(void **state)
{
	(void)state;
	authority =
		identity_new(&(struct identity_spec){.name = "authority", .is_authority = true});
	stranger = identity_new(&(struct identity_spec){.name = "stranger", .is_authority = true});
	trust_file(&authority, authority_file);
	return tls_store_new(&store);
}

static int teardown(void **state)
{
	(void)state;
	tls_store_free(store);
	unlink(authority_file);
	identity_free(&authority);
	identity_free(&stranger);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_dates_of_an_issuer),
		cmocka_unit_test(test_untrusted),
		cmocka_unit_test(test_trust_itself),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_purpose),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_not_tls),
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_chain_bound),
		cmocka_unit_test(test_own_bound),
		cmocka_unit_test(test_depth_bound),
		cmocka_unit_test(test_bad_ca_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
