/* SPDX-License-Identifier: MIT */
/*
 * What OpenSSL itself costs a client of a server that resumes its sessions:
 *
 *     bare CERTIFICATE KEY AUTHORITY CONNECTIONS
 *
 * Makes that many connections, which stay open and idle, and prints for each of them the
 * microseconds of CPU of the client and the KB of heap that it holds. The client is the barest that
 * is as safe as the gateway's: one context, the certificate verified against the authority, no
 * DANE, no check of names, no socket, no event loop. Client and server are in this process and
 * connected through memory; only the client's calls count.
 *
 * OpenSSL 3.0 holds 14.4 KB (64 bits, TLS 1.3, AES-GCM, X25519, resumed). In bytes of malloc:
 *
 *     7624  the SSL itself: the arrays for 32 pipelines of records, the state of the handshake
 *     1952  aes_gcm_newctx(), one for each direction
 *     1312  the SSL_SESSION with its lock, ticket and chain, copied for each ticket that arrives
 *     1056  the messages of the handshake, kept as bytes
 *      860  the two keys of X25519, kept after the secret has been derived
 *      608  ssl_cert_dup() and its lock, although the client has no certificate
 *      400  the digest of the handshake, and its copy for a later authentication of the client
 *      384  the cipher contexts around the AES-GCM
 *      120  X509_VERIFY_PARAM
 *      450  the rest: stacks, the name of the server
 *
 * Its public API can free none of them while the connection is open. SSL_set_session() could make
 * connections share an SSL_SESSION; what is left would still be more than 13 KB.
 */
#include <malloc.h>
#include <openssl/err.h>

#include "tests/bench/check.h"
#include "tests/bench/flow.h"

enum {
	N_WARM = 20, /* until everything that is made only once exists */
};

static SSL_SESSION *latest;
static uint64_t client_ns;

static void must(bool good, const char *what)
{
	if (!good) {
		const char *reason = ERR_reason_error_string(ERR_peek_error());

		die("%s: %s", what, reason ? reason : "failed");
	}
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(latest);
	latest = session;
	return 1;
}

static SSL_CTX *client_new(const char *authority)
{
	SSL_CTX *context = flow_tls_client();

	SSL_CTX_set_session_cache_mode(context,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_session);
	must(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1 &&
		     SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
		     SSL_CTX_load_verify_file(context, authority) == 1,
	     "client");
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return context;
}

static SSL *offer(SSL_CTX *context)
{
	SSL *ssl = SSL_new(context);
	SSL_SESSION *copy = latest ? SSL_SESSION_dup(latest) : NULL;

	must(ssl && SSL_set_tlsext_host_name(ssl, "bench.test") == 1 &&
		     (!latest || SSL_set_session(ssl, copy) == 1),
	     "SSL_new");
	SSL_SESSION_free(copy);
	SSL_set_connect_state(ssl);
	return ssl;
}

static bool client_step(SSL *ssl)
{
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int r = SSL_do_handshake(ssl);

	client_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	must(r == 1 || SSL_get_error(ssl, r) == SSL_ERROR_WANT_READ, "handshake");
	return r == 1;
}

/* The tickets come with the first bytes of data. */
static void take_tickets(SSL *client, SSL *server)
{
	char byte = 'x';

	must(SSL_write(server, &byte, 1) == 1, "SSL_write");
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	must(SSL_read(client, &byte, 1) == 1, "SSL_read");
	client_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	must(SSL_write(client, &byte, 1) == 1, "SSL_write");
}

/* Returns the client's side of a connection, without the memory of what connects them. */
static SSL *visit(SSL_CTX *client_context, SSL_CTX *server_context)
{
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	SSL *client = offer(client_context);

	client_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	SSL *server = SSL_new(server_context);
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());

	must(server && up && down && BIO_up_ref(up) && BIO_up_ref(down), "SSL_new");
	SSL_set_bio(client, down, up);
	SSL_set_bio(server, up, down);
	SSL_set_accept_state(server);
	while (!client_step(client) || !SSL_is_init_finished(server)) {
		(void)SSL_do_handshake(server);
		ERR_clear_error();
	}
	take_tickets(client, server);
	SSL_free(server);
	SSL_set_bio(client, NULL, NULL);
	must(SSL_free_buffers(client) == 1, "SSL_free_buffers");
	return client;
}

int main(int argc, char **argv)
{
	size_t n = argc == 5 ? strtoul(argv[4], NULL, 10) : 0, n_full = 0;

	if (n == 0) {
		die("usage: bare CERTIFICATE KEY AUTHORITY CONNECTIONS");
	}
	SSL_CTX *client = client_new(argv[3]), *server = flow_tls_server(argv[1], argv[2], true);
	SSL **kept = calloc(n, sizeof(*kept));

	check(kept, "memory");
	for (size_t i = 0; i < N_WARM; i++) {
		SSL *ssl = visit(client, server);

		/* Otherwise OpenSSL would take the end for a failure, and the session with it. */
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(ssl);
	}
	size_t n_before = mallinfo2().uordblks;

	client_ns = 0;
	for (size_t i = 0; i < n; i++) {
		kept[i] = visit(client, server);
		n_full += !SSL_session_reused(kept[i]);
	}
	if (n_full) {
		die("%zu of %zu handshakes were full ones", n_full, n);
	}
	printf("%.2f %.3f\n", (double)client_ns / 1000 / (double)n,
	       (double)(mallinfo2().uordblks - n_before) / 1024 / (double)n);
	return EXIT_SUCCESS;
}
