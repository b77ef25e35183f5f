/* SPDX-License-Identifier: MIT */
/*
 * The cost of TLS to servers: 1000 connections to one domain, with and without resumption. Client
 * and server run in this process and are connected through memory, so that the figures contain only
 * the handshake. Measured is the CPU time of the client, from tls_connection_new() on.
 *
 *     ninja -C build && meson test -C build --benchmark handshakes --verbose
 *
 * full      full handshakes, because the server issues no tickets
 * resumed   the normal case: after one full handshake the others use tickets
 * KB        growth of the heap per connection that stays open and idle
 *
 * The server sends a chain of two certificates below the root, as servers on the Internet do. Fails
 * if a connection fails, or if more than one handshake of the second kind was a full one.
 */
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "gateway/upstream/tls/tls.h"
#include "tests/bench/check.h"

enum {
	N_CONNECTIONS = 1000,
	N_WARM = 20, /* until everything that is made only once exists */
};

struct identity {
	EVP_PKEY *key;
	X509 *certificate;
};

struct result {
	double us; /* of one connection, the client's side */
	double kilobytes;
	size_t n_full;
};

/* Ends the program with the message of OpenSSL. */
static void must(bool good, const char *what)
{
	if (!good) {
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		die("%s: %s", what, reason ? reason : "failed");
	}
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);

	must(extension && X509_add_ext(certificate, extension, -1), value);
	X509_EXTENSION_free(extension);
}

/* Self-signed when @issuer is NULL. */
static struct identity identity_new(const char *name, bool is_rsa, const struct identity *issuer,
				    bool is_authority)
{
	struct identity self = {is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), X509_new()};
	X509 *certificate = self.certificate;
	X509_NAME *subject = X509_get_subject_name(certificate);

	must(self.key && X509_set_version(certificate, X509_VERSION_3), "X509_new");
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
				   -1, 0);
	issuer = issuer ? issuer : &self;
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate));
	X509_set_pubkey(certificate, self.key);
	add_extension(certificate, is_authority ? NID_basic_constraints : NID_subject_alt_name,
		      is_authority ? "critical,CA:TRUE" : "DNS:bench.test,DNS:*.bench.test");
	must(X509_sign(certificate, issuer->key, EVP_sha256()) > 0, "X509_sign");
	return self;
}

static void identity_free(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->certificate);
}

static SSL_CTX *server_new(const struct identity *leaf, const struct identity *issuer, int version,
			   bool gives_sessions)
{
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());

	must(server && SSL_CTX_use_certificate(server, leaf->certificate) &&
		     SSL_CTX_use_PrivateKey(server, leaf->key) &&
		     SSL_CTX_add1_chain_cert(server, issuer->certificate) &&
		     SSL_CTX_set_min_proto_version(server, version) &&
		     SSL_CTX_set_max_proto_version(server, version),
	     "SSL_CTX_new");
	SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
	if (!gives_sessions) {
		SSL_CTX_set_options(server, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(server, 0);
	}
	return server;
}

/* Makes one connection, which stays open, and adds the CPU time of the client to *ns. */
static SSL *visit(struct tls_store *store, const struct tls_policy *policy, SSL_CTX *server_ctx,
		  uint64_t *ns)
{
	SSL *server = SSL_new(server_ctx), *client = NULL;
	BIO *client_bio = BIO_new(BIO_s_mem()), *server_bio = BIO_new(BIO_s_mem());
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	char byte = 'x';
	int r = 0;

	must(tls_connection_new(store, policy, &client) == 0, "tls_connection_new");
	*ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	must(server && BIO_up_ref(client_bio) && BIO_up_ref(server_bio), "SSL_new");
	SSL_set_bio(client, client_bio, server_bio);
	SSL_set_bio(server, server_bio, client_bio);
	SSL_set_accept_state(server);
	while (r != 1 || !SSL_is_init_finished(server)) {
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		r = SSL_do_handshake(client);
		*ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
		must(r == 1 || SSL_get_error(client, r) == SSL_ERROR_WANT_READ, "handshake");
		ERR_clear_error();
		(void)SSL_do_handshake(server);
		ERR_clear_error();
	}
	/* Tickets come with the first bytes of data. */
	must(SSL_write(server, &byte, 1) == 1, "SSL_write");
	start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	must(SSL_read(client, &byte, 1) == 1, "SSL_read");
	*ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	/* Reading a ticket makes OpenSSL allocate a buffer for writing, which it frees after the
	 * next write. */
	must(SSL_write(client, &byte, 1) == 1, "SSL_write");
	SSL_free(server);
	/* The memory of the BIOs must not count for the connection: a socket has no such
	 * buffers. */
	SSL_set_bio(client, NULL, NULL);
	return client;
}

static struct result measure(const struct tls_policy *policy, SSL_CTX *server)
{
	static SSL *clients[N_CONNECTIONS];
	struct tls_store *store;
	struct result result = {0};
	uint64_t ns = 0;

	must(tls_store_new(&store) == 0, "tls_store_new");
	for (size_t i = 0; i < N_WARM; i++) {
		struct tls_policy other = *policy;

		/* A new trust store, so that the first handshake that counts is a full one. */
		other.must_verify = false;
		tls_connection_free(visit(store, &other, server, &ns));
	}
	ns = 0;
	malloc_trim(0);
	size_t n_before = mallinfo2().uordblks;

	for (size_t i = 0; i < N_CONNECTIONS; i++) {
		clients[i] = visit(store, policy, server, &ns);
		result.n_full += !SSL_session_reused(clients[i]);
	}
	result.kilobytes = (double)(mallinfo2().uordblks - n_before) / 1024 / N_CONNECTIONS;
	result.us = (double)ns / 1000 / N_CONNECTIONS;
	for (size_t i = 0; i < N_CONNECTIONS; i++) {
		tls_connection_free(clients[i]);
	}
	tls_store_free(store);
	return result;
}

static void compare(const char *name, const struct identity *leaf, const struct identity *issuer,
		    int version, const struct tls_policy *policy)
{
	SSL_CTX *without = server_new(leaf, issuer, version, false);
	SSL_CTX *with = server_new(leaf, issuer, version, true);
	struct result full = measure(policy, without), resumed = measure(policy, with);

	printf("%-16s %7.0f %8.1f   %7.0f %8.1f   %4zu of %d\n", name, full.us, full.kilobytes,
	       resumed.us, resumed.kilobytes, resumed.n_full, N_CONNECTIONS);
	SSL_CTX_free(without);
	SSL_CTX_free(with);
	if (full.n_full != N_CONNECTIONS || resumed.n_full > 1) {
		die("%s: %zu and %zu full handshakes", name, full.n_full, resumed.n_full);
	}
}

static void write_file(const struct identity *root, char *path)
{
	int fd = mkstemp(path);

	check(fd >= 0, path);
	FILE *file = fdopen(fd, "w");

	must(PEM_write_X509(file, root->certificate), "PEM_write_X509");
	check(fclose(file) == 0, path);
}

int main(void)
{
	char path[] = "/tmp/handshakes-XXXXXX";
	struct identity root = identity_new("root", true, NULL, true);

	write_file(&root, path);
	printf("                     full               resumed\n");
	printf("                   CPU us       KB    CPU us       KB   full handshakes\n");
	for (int is_rsa = 0; is_rsa <= 1; is_rsa++) {
		struct identity issuer = identity_new("issuer", is_rsa, &root, true);
		struct identity leaf = identity_new("leaf", is_rsa, &issuer, false);
		const struct tls_policy policy = {
			.domain = "bench.test", .ca_file = path, .must_verify = true};

		compare(is_rsa ? "TLS 1.2, RSA" : "TLS 1.2, P-256", &leaf, &issuer, TLS1_2_VERSION,
			&policy);
		compare(is_rsa ? "TLS 1.3, RSA" : "TLS 1.3, P-256", &leaf, &issuer, TLS1_3_VERSION,
			&policy);
		identity_free(&issuer);
		identity_free(&leaf);
	}
	unlink(path);
	identity_free(&root);
	return EXIT_SUCCESS;
}
