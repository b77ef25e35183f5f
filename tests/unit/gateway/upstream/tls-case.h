/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Certificates made in memory, and servers that show them to a client of ours, also through memory.
 * Included after cmocka.h.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/upstream/tls/report.h"
#include "gateway/upstream/tls/tls.h"

/* A key with its certificate. */
struct identity {
	EVP_PKEY *key;
	X509 *certificate;
};

struct identity_spec {
	const char *name; /* the CN */
	/* subjectAltName in OpenSSL's configuration syntax; NULL: no such extension */
	const char *names;
	const struct identity *issuer; /* NULL: self-signed */
	EVP_PKEY *key;                 /* NULL: a new one */
	const char *purposes;          /* extendedKeyUsage; NULL: none */
	const EVP_MD *digest;          /* NULL: SHA-256 */
	bool is_authority;
	long from_s, to_s; /* relative to now; both 0: an hour */
};

static inline void extension_add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static inline struct identity identity_new(const struct identity_spec *spec)
{
	static long serial;
	struct identity self = {spec->key, X509_new()};

	if (spec->key) {
		EVP_PKEY_up_ref(spec->key);
	} else {
		self.key = EVP_EC_gen("P-256");
	}
	const struct identity *issuer = spec->issuer ? spec->issuer : &self;
	X509 *certificate = self.certificate;
	X509_NAME *name = X509_get_subject_name(certificate);

	assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
	assert_non_null(
		X509_gmtime_adj(X509_getm_notBefore(certificate), spec->to_s ? spec->from_s : -10));
	assert_non_null(
		X509_gmtime_adj(X509_getm_notAfter(certificate), spec->to_s ? spec->to_s : 3600));
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
						    (const unsigned char *)spec->name, -1, -1, 0),
			 1);
	assert_int_equal(
		X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate)), 1);
	assert_int_equal(X509_set_pubkey(certificate, self.key), 1);
	if (spec->names) {
		extension_add(certificate, issuer->certificate, NID_subject_alt_name, spec->names);
	}
	if (spec->is_authority) {
		extension_add(certificate, issuer->certificate, NID_basic_constraints,
			      "critical,CA:TRUE");
	}
	if (spec->purposes) {
		extension_add(certificate, issuer->certificate, NID_ext_key_usage, spec->purposes);
	}
	assert_true(X509_sign(certificate, issuer->key,
			      spec->digest ? spec->digest : EVP_sha256()) > 0);
	return self;
}

static inline void identity_free(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
}

/* A server that shows @identity and, unless NULL, @issuer. @version is the only one it speaks; 0:
 * any. */
static inline SSL_CTX *server_new(const struct identity *identity, const struct identity *issuer,
				  int version)
{
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());

	/* Allow weak parameters: the client must refuse them by itself. */
	SSL_CTX_set_security_level(server, 0);
	assert_int_equal(SSL_CTX_use_certificate(server, identity->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server, identity->key), 1);
	if (issuer) {
		assert_int_equal(SSL_CTX_add1_chain_cert(server, issuer->certificate), 1);
	}
	assert_int_equal(SSL_CTX_set_min_proto_version(server, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(server, version), 1);
	assert_int_equal(SSL_CTX_set_session_id_context(server, (const unsigned char *)"test", 4),
			 1);
	return server;
}

/* Runs both sides in turn until neither makes progress. Returns the result of the client's
 * handshake. */
static inline int shake_hands(SSL *client, SSL *server)
{
	int r = 0;

	for (int i = 0; i < 10 && (r != 1 || !SSL_is_init_finished(server)); i++) {
		r = SSL_do_handshake(client);
		if (r != 1 && SSL_get_error(client, r) != SSL_ERROR_WANT_READ) {
			break;
		}
		(void)SSL_do_handshake(server);
		ERR_clear_error();
	}
	return r;
}

/* TLS 1.3 sends its tickets after the handshake: they are read with the data. */
static inline void exchange_data(SSL *client, SSL *server)
{
	char byte = 'x';

	assert_int_equal(SSL_write(server, &byte, 1), 1);
	assert_int_equal(SSL_read(client, &byte, 1), 1);
}

struct outcome {
	bool is_open;
	bool is_resumed;
	int version;
	char alpn[32];
	int n_kept; /* certificates of the server that the connection holds */
	struct failure failure;
	struct tls_report report; /* its pointers into the connection are invalid */
};

/* Connects @client, which is freed, to @server. */
static inline struct outcome meet(SSL *client, SSL_CTX *server_ctx)
{
	struct outcome outcome = {.failure.kind = FAILURE_NONE};
	SSL *server = SSL_new(server_ctx);
	BIO *client_bio, *server_bio;
	const unsigned char *alpn;
	unsigned n_alpn;

	assert_int_equal(BIO_new_bio_pair(&client_bio, 128 * 1024, &server_bio, 128 * 1024), 1);
	SSL_set_bio(client, client_bio, client_bio);
	SSL_set_bio(server, server_bio, server_bio);
	SSL_set_accept_state(server);
	outcome.is_open = shake_hands(client, server) == 1;
	if (outcome.is_open) {
		exchange_data(client, server);
		outcome.is_resumed = SSL_session_reused(client);
		outcome.version = SSL_version(client);
		SSL_get0_alpn_selected(server, &alpn, &n_alpn);
		memcpy(outcome.alpn, alpn ? alpn : (const unsigned char *)"", n_alpn);
	} else {
		tls_failure(client, &outcome.failure);
	}
	tls_report(client, &outcome.report);
	outcome.n_kept = sk_X509_num(SSL_get_peer_cert_chain(client));
	/* Otherwise the server forgets the session: mark the shutdown as proper. */
	SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(server);
	tls_connection_free(client);
	return outcome;
}

static inline struct outcome visit(struct tls_store *store, const struct tls_policy *policy,
				   SSL_CTX *server)
{
	SSL *client;

	assert_int_equal(tls_connection_new(store, policy, &client), 0);
	return meet(client, server);
}

/* Writes @identity's certificate into a file for a policy's ca_file. @path has room for its
 * name. */
enum {
	TRUST_PATH_SIZE = 64,
};

static inline const char *trust_file(const struct identity *identity,
				     char path[static TRUST_PATH_SIZE])
{
	(void)snprintf(path, TRUST_PATH_SIZE, "/tmp/doab-trust-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	FILE *out = fdopen(fd, "w");

	assert_int_equal(PEM_write_X509(out, identity->certificate), 1);
	assert_int_equal(fclose(out), 0);
	return path;
}
