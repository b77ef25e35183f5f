/* SPDX-License-Identifier: MIT */
#include "gateway/config/tls-server.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "gateway/config/staple.h"

/* The groups in which keys are exchanged, the best first: the first list of which OpenSSL has all
 * groups. Before 3.5 it has no ML-KEM, and in FIPS mode it may have no X25519. Browsers have X25519
 * and P-256, some other clients only P-384. The client chooses, and a worker computes its part
 * while all others wait: up to 2 ms with P-384, but 150 with ffdhe8192, which OpenSSL would take,
 * too. */
static const char *const groups[] = {"X25519MLKEM768:X25519:P-256:P-384", "X25519:P-256:P-384",
				     "P-256:P-384"};

/* Whether @error says that memory was missing: to OpenSSL, or to a call that it made. */
static bool lacks_memory(unsigned long error)
{
	return ERR_SYSTEM_ERROR(error) ? ERR_GET_REASON(error) == ENOMEM
				       : ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
}

/* Empties OpenSSL's error queue. Returns whether it says that memory was missing: that need not be
 * the last word, which may be about what could not be made without it. */
static bool errors_lack_memory(void)
{
	bool lacks = false;
	unsigned long error;

	while ((error = ERR_get_error())) {
		lacks = lacks || lacks_memory(error);
	}
	return lacks;
}

/* Writes what went wrong with @value of the key @key, in OpenSSL's words. Returns -EINVAL, or
 * -ENOMEM if memory was missing. */
static int refuse(char why[static TLS_SERVER_WHY_MAX], const char *key, const char *what,
		  const char *value)
{
	/* A call that failed comes first, and what that means to OpenSSL behind it. */
	unsigned long first = ERR_peek_error();
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	if (first && ERR_SYSTEM_ERROR(first)) {
		reason = strerror(ERR_GET_REASON(first));
	}
	snprintf(why, TLS_SERVER_WHY_MAX, "%s: expected %s, got '%s'%s%s%s", key, what, value,
		 reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
	return errors_lack_memory() ? -ENOMEM : -EINVAL;
}

/* OpenSSL would ask on the terminal. */
static int no_password(char *buffer, int size, int is_writing, void *userdata)
{
	(void)buffer;
	(void)size;
	(void)is_writing;
	(void)userdata;
	return -1;
}

static int use_certificate(SSL_CTX *context, const struct config_listener_tls *tls,
			   char why[static TLS_SERVER_WHY_MAX])
{
	const char *key = tls->key ? tls->key : tls->certificate;

	if (!tls->certificate) {
		snprintf(why, TLS_SERVER_WHY_MAX, "certificate: expected a file in a tls section");
		return -EINVAL;
	}
	SSL_CTX_set_default_passwd_cb(context, no_password);
	if (SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1) {
		return refuse(why, "certificate", "a file of PEM certificates", tls->certificate);
	}
	if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
		/* With the certificate loaded, OpenSSL compares them here. */
		return refuse(why, "key", "the PEM private key of the certificate, not encrypted",
			      key);
	}
	return SSL_CTX_check_private_key(context) == 1
		     ? 0
		     : refuse(why, "key", "the private key of the certificate", key);
}

/* Whether OpenSSL says something about a group that it does not have. 3.0 does, 3.5 does not. */
static bool tells_unknown(SSL_CTX *context)
{
	(void)SSL_CTX_set1_groups_list(context, "none");
	unsigned long error = ERR_peek_error();

	ERR_clear_error();
	return error != 0;
}

/* Whether OpenSSL has not taken a list of groups because of memory. 3.0 does not always say so:
 * what it says nothing about is then no group that it does not have. */
static bool groups_lack_memory(SSL_CTX *context)
{
	return ERR_peek_error() ? errors_lack_memory() : tells_unknown(context);
}

static int use_groups(SSL_CTX *context)
{
	ERR_clear_error();
	for (size_t i = 0; i < ARRAY_LENGTH(groups); i++) {
		if (SSL_CTX_set1_groups_list(context, groups[i]) == 1) {
			return 0;
		}
		/* Without memory, the next list might be taken, which is worse. */
		if (groups_lack_memory(context)) {
			return -ENOMEM;
		}
	}
	/* Every OpenSSL has those of the last list. */
	return -ENOMEM;
}

static int use_protocol(SSL_CTX *context, const struct config_listener_tls *tls,
			char why[static TLS_SERVER_WHY_MAX])
{
	int min = tls->versions & CONFIG_TLS_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
	int max = tls->versions & CONFIG_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

	if (SSL_CTX_set_min_proto_version(context, min) != 1 ||
	    SSL_CTX_set_max_proto_version(context, max) != 1) {
		return refuse(why, "versions", "versions that OpenSSL has", "");
	}
	if (tls->ciphers[0] && SSL_CTX_set_cipher_list(context, tls->ciphers) != 1) {
		return refuse(why, "ciphers", "a list of ciphers as `openssl ciphers` reads it",
			      tls->ciphers);
	}
	if (tls->ciphersuites[0] && SSL_CTX_set_ciphersuites(context, tls->ciphersuites) != 1) {
		return refuse(why, "ciphersuites", "cipher suites of TLS 1.3", tls->ciphersuites);
	}
	return 0;
}

static int use_clients(SSL_CTX *context, const struct config_listener_tls *tls,
		       char why[static TLS_SERVER_WHY_MAX])
{
	static const int modes[] = {
		[CONFIG_VERIFY_OFF] = SSL_VERIFY_NONE,
		[CONFIG_VERIFY_OPTIONAL] = SSL_VERIFY_PEER,
		[CONFIG_VERIFY_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};
	STACK_OF(X509_NAME) * names;

	if (tls->verify == CONFIG_VERIFY_OFF) {
		return 0;
	}
	if (!tls->client_ca) {
		snprintf(why, TLS_SERVER_WHY_MAX,
			 "verify: expected client_ca beside it, with the authorities of clients");
		return -EINVAL;
	}
	names = SSL_load_client_CA_file(tls->client_ca);
	if (!names || SSL_CTX_load_verify_locations(context, tls->client_ca, NULL) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return refuse(why, "client_ca", "a file of PEM certificates", tls->client_ca);
	}
	SSL_CTX_set_client_CA_list(context, names);
	/* Without one, OpenSSL refuses to resume sessions of clients that showed a certificate. */
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"doab", 4);
	SSL_CTX_set_verify(context, modes[tls->verify], NULL);
	return 0;
}

static int use_staple(SSL_CTX *context, const struct config_listener_tls *tls,
		      char why[static TLS_SERVER_WHY_MAX])
{
	int r = tls->ocsp_file ? staple_load(context, tls->ocsp_file) : 0;

	return r == -EINVAL
		     ? refuse(why, "ocsp_file", "a successful OCSP response (DER)", tls->ocsp_file)
		     : r;
}

/* Browsers offer h2, too. Without an answer they would have to guess. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *n_out,
		       const unsigned char *in, unsigned n_in, void *userdata)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)userdata;
	if (SSL_select_next_proto(&chosen, n_out, ours, sizeof(ours) - 1, in, n_in) !=
	    OPENSSL_NPN_NEGOTIATED) {
		return SSL_TLSEXT_ERR_NOACK;
	}
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void set_behaviour(SSL_CTX *context, const struct config_listener_tls *tls)
{
	/* HTTP and WebSocket say where their messages end, so a FIN without close_notify hides
	 * nothing. Records are decrypted where they were read, and freed with what they hold:
	 * clients' passwords must not stay in free memory. */
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE |
					     SSL_OP_CLEANSE_PLAINTEXT |
					     SSL_OP_IGNORE_UNEXPECTED_EOF |
					     (tls->tickets ? 0 : SSL_OP_NO_TICKET));
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	/* Header and body of a record, and often all of a request, by one system call. */
	SSL_CTX_set_read_ahead(context, 1);
	/* Tickets hold the state of a session, so nothing has to be kept for each client. One is
	 * enough: each resumption brings a new one. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, tls->tickets ? 1 : 0);
	SSL_CTX_set_max_cert_list(context, TLS_SERVER_CHAIN_MAX);
}

static int fill(SSL_CTX *context, const struct config_listener_tls *tls,
		char why[static TLS_SERVER_WHY_MAX])
{
	int r = use_certificate(context, tls, why);

	r = r < 0 ? r : use_protocol(context, tls, why);
	r = r < 0 ? r : use_groups(context);
	r = r < 0 ? r : use_clients(context, tls, why);
	r = r < 0 ? r : use_staple(context, tls, why);
	if (r == 0) {
		SSL_CTX_set_alpn_select_cb(context, select_alpn, NULL);
		set_behaviour(context, tls);
	}
	return r;
}

int tls_server_new(const struct config_listener_tls *tls, char ret_why[static TLS_SERVER_WHY_MAX],
		   SSL_CTX **ret_context)
{
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	int r = context ? fill(context, tls, ret_why) : -ENOMEM;

	ERR_clear_error();
	if (r < 0) {
		SSL_CTX_free(context);
		return r;
	}
	*ret_context = context;
	return 0;
}
