/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "gateway/upstream/tls/session-cache.h"
#include "gateway/upstream/tls/verify.h"

enum {
	/* 112 bits: RSA keys of at least 2048, no SHA-1. Set here because the system's
	 * configuration may differ. */
	SECURITY_LEVEL = 2,
};

/* XEP-0368, in the form of the extension (RFC 7301, 3.1): each name has a length prefix. */
static const unsigned char alpn[] = "\x0bxmpp-client";

enum trust {
	/* for connections without verification: the system's store need not be read */
	TRUST_NOBODY,
	TRUST_SYSTEM,
	TRUST_FILE,
};

struct tls_context {
	SLIST_ENTRY(tls_context) in_store;
	enum trust trust;
	char *ca_file; /* NULL unless TRUST_FILE */
	SSL_CTX *ctx;
};

struct tls_store {
	SLIST_HEAD(, tls_context) contexts; /* tls_context::in_store */
	struct session_cache *sessions;
};

int tls_store_new(struct tls_store **ret_store)
{
	struct tls_store *store = calloc(1, sizeof(*store));

	if (!store) {
		return -ENOMEM;
	}
	SLIST_INIT(&store->contexts);
	int r = session_cache_new(TLS_SESSIONS_MAX, &store->sessions);

	if (r < 0) {
		free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

static struct tls_context *context_free(struct tls_context *context)
{
	if (context) {
		SSL_CTX_free(context->ctx);
		free(context->ca_file);
		free(context);
	}
	return NULL;
}

DEFINE_CLEANUP(struct tls_context *, context_free);

/* Connections keep the part of a context that they need. */
static void forget_contexts(struct tls_store *store)
{
	struct tls_context *context;

	while ((context = SLIST_FIRST(&store->contexts))) {
		SLIST_REMOVE_HEAD(&store->contexts, in_store);
		context_free(context);
	}
}

void tls_store_renew(struct tls_store *store)
{
	forget_contexts(store);
	session_cache_clear(store->sessions);
}

struct tls_store *tls_store_free(struct tls_store *store)
{
	if (!store) {
		return NULL;
	}
	forget_contexts(store);
	session_cache_free(store->sessions);
	free(store);
	return NULL;
}

static int64_t session_start(const SSL_SESSION *session)
{
#if OPENSSL_VERSION_PREREQ(3, 3)
	return SSL_SESSION_get_time_ex(session);
#else
	return SSL_SESSION_get_time(session);
#endif
}

/* Returns whether @session was taken over. */
static bool keep_session(struct verify *verify, SSL_SESSION *session, int64_t end)
{
	/* A connection from before tls_store_renew() was verified with other authorities. */
	if (verify->epoch != session_cache_epoch(verify->cache)) {
		return false;
	}
	session_cache_put(verify->cache, verify->key, session, end, time(NULL));
	return true;
}

bool tls_connection_has_offered(const SSL *ssl)
{
	return verify_of(ssl)->has_offered;
}

void tls_connection_lend(SSL *ssl)
{
	verify_of(ssl)->is_lent = true;
}

void tls_connection_return(SSL *ssl)
{
	struct verify *verify = verify_of(ssl);
	SSL_SESSION *session = verify->fresh;

	verify->is_lent = false;
	verify->fresh = NULL;
	if (session && !keep_session(verify, session, verify->fresh_end)) {
		SSL_SESSION_free(session);
	}
}

/* The server has sent a session that can be resumed; with TLS 1.3 this may happen often. Returns 1
 * when the reference has been taken. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct verify *verify = verify_of(ssl);
	int64_t now = time(NULL);
	int64_t end = session_start(session) + SSL_SESSION_get_timeout(session);
	unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
	const unsigned char *ticket;
	size_t n_ticket;

	SSL_SESSION_get0_ticket(session, &ticket, &n_ticket);
	if (n_ticket > TLS_TICKET_MAX) {
		return 0;
	}
	/* A resumed handshake shows no certificate: the end stays that of the session that was
	 * resumed. */
	if (!SSL_session_reused(ssl)) {
		verify->until = verify_until(ssl, now);
	}
	if (end > verify->until) {
		end = verify->until;
	}
	if (hint && end > now + (int64_t)hint) {
		end = now + (int64_t)hint;
	}
	if (!verify->is_lent) {
		return keep_session(verify, session, end);
	}
	SSL_SESSION_free(verify->fresh);
	verify->fresh = session;
	verify->fresh_end = end;
	return 1;
}

static int context_trust(struct tls_context *context, const char *ca_file)
{
	switch (context->trust) {
	case TRUST_NOBODY:
		return 0;
	case TRUST_SYSTEM:
		return SSL_CTX_set_default_verify_paths(context->ctx) == 1 ? 0 : -ENOMEM;
	case TRUST_FILE:
		break;
	}
	context->ca_file = strdup(ca_file);
	if (!context->ca_file) {
		return -ENOMEM;
	}
	if (SSL_CTX_load_verify_file(context->ctx, ca_file) != 1) {
		return -EINVAL;
	}
	/* The operator may name a server's own certificate or an intermediate one as the
	 * authority. */
	X509_STORE_set_flags(SSL_CTX_get_cert_store(context->ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
}

static bool set_ciphers(SSL_CTX *ctx)
{
	/* With finite-field DH the server chooses the group, and 10,000 bits take 1.5 s of CPU. */
	return SSL_CTX_set_cipher_list(ctx, "DEFAULT:!kDHE") &&
	       /* As browsers do. OpenSSL prefers AES-256 with SHA-384, for which a resumed
		* handshake takes 190 us of CPU instead of 170. */
	       SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					     "TLS_CHACHA20_POLY1305_SHA256") &&
	       SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384:P-521");
}

static int context_new(enum trust trust, const char *ca_file, struct tls_context **ret_context)
{
	_cleanup_(context_freep) struct tls_context *context = calloc(1, sizeof(*context));

	if (!context) {
		return -ENOMEM;
	}
	context->trust = trust;
	context->ctx = SSL_CTX_new(TLS_client_method());
	if (!context->ctx || !SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION)) {
		return -ENOMEM;
	}
	/* An XMPP stream marks its own end (</stream:stream>), so a FIN without close_notify hides
	 * nothing. */
	SSL_CTX_set_options(context->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
						  SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* SSL_MODE_AUTO_RETRY stays on, as it is by default: without it a read ends after a key
	 * update, and since OpenSSL 3.2 nothing tells of the bytes that it has read behind that.
	 * tls_controls_watch() bounds what a server may make one read do. */
	SSL_CTX_set_mode(context->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					       SSL_MODE_RELEASE_BUFFERS);
	if (!set_ciphers(context->ctx)) {
		return -ENOMEM;
	}
	/* Reads the header and body of a record, and often all of a short answer, with one
	 * read(2). */
	SSL_CTX_set_read_ahead(context->ctx, 1);
	SSL_CTX_set_max_cert_list(context->ctx, TLS_CHAIN_MAX);
	SSL_CTX_set_verify_depth(context->ctx, TLS_CHAIN_DEPTH_MAX);
	/* OpenSSL's own cache does not distinguish trust or servers. */
	SSL_CTX_set_session_cache_mode(context->ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context->ctx, on_session);
	SSL_CTX_set_cert_verify_callback(context->ctx, verify_certificate, NULL);
	if (trust != TRUST_NOBODY) {
		SSL_CTX_set_security_level(context->ctx, SECURITY_LEVEL);
		if (SSL_CTX_dane_enable(context->ctx) <= 0) {
			return -ENOMEM;
		}
	}
	int r = context_trust(context, ca_file);

	if (r < 0) {
		return r;
	}
	*ret_context = context;
	context = NULL;
	return 0;
}

static int store_find(struct tls_store *store, enum trust trust, const char *ca_file,
		      struct tls_context **ret_context)
{
	struct tls_context *context;

	SLIST_FOREACH(context, &store->contexts, in_store) {
		if (context->trust == trust &&
		    (trust != TRUST_FILE || strcmp(context->ca_file, ca_file) == 0)) {
			*ret_context = context;
			return 0;
		}
	}
	int r = context_new(trust, ca_file, &context);

	if (r < 0) {
		return r;
	}
	SLIST_INSERT_HEAD(&store->contexts, context, in_store);
	*ret_context = context;
	return 0;
}

DEFINE_CLEANUP(SSL_SESSION *, SSL_SESSION_free);

/* Offers the session that was verified under the same policy, if there is one. Offers a copy,
 * because OpenSSL marks sessions of TLS 1.3 as used, and not every server sends a new ticket each
 * time. The copy shares the certificates. */
static int offer_session(SSL *ssl)
{
	struct verify *verify = verify_of(ssl);
	SSL_SESSION *session =
		session_cache_get(verify->cache, verify->key, time(NULL), &verify->until);
	_cleanup_(SSL_SESSION_freep) SSL_SESSION *copy = session ? SSL_SESSION_dup(session) : NULL;

	verify->has_offered = session != NULL;
	return !session || (copy && SSL_set_session(ssl, copy)) ? 0 : -ENOMEM;
}

static int connection_prepare(struct tls_store *store, const struct tls_policy *policy, SSL *ssl)
{
	/* An address is not allowed there (RFC 6066, 3). */
	if (!domain_is_address(policy->domain) && !SSL_set_tlsext_host_name(ssl, policy->domain)) {
		return -ENOMEM;
	}
	/* Unlike the other functions, this one returns 0 for success. */
	if (policy->is_direct && SSL_set_alpn_protos(ssl, alpn, sizeof(alpn) - 1) != 0) {
		return -ENOMEM;
	}
	int r = verify_new(ssl, policy, store->sessions);

	if (r < 0) {
		return r;
	}
	SSL_set_verify(ssl, policy->must_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_set_connect_state(ssl);
	return offer_session(ssl);
}

int tls_connection_new(struct tls_store *store, const struct tls_policy *policy, SSL **ret_ssl)
{
	enum trust trust = !policy->must_verify ? TRUST_NOBODY
			 : policy->ca_file      ? TRUST_FILE
						: TRUST_SYSTEM;
	struct tls_context *context;
	int r = store_find(store, trust, policy->ca_file, &context);
	SSL *ssl = NULL;

	if (r == 0) {
		ssl = SSL_new(context->ctx);
		r = ssl ? connection_prepare(store, policy, ssl) : -ENOMEM;
	}
	if (r < 0) {
		tls_connection_free(ssl);
		ERR_clear_error();
		return r;
	}
	*ret_ssl = ssl;
	return 0;
}

SSL *tls_connection_free(SSL *ssl)
{
	if (!ssl) {
		return NULL;
	}
	const struct verify *verify = verify_of(ssl);

	if (verify && !SSL_is_init_finished(ssl)) {
		/* The server may have failed because of the session: do not offer it again. */
		session_cache_forget(verify->cache, verify->key);
	}
	/* Without this, OpenSSL would mark the session as not resumable, because no close_notify
	 * was sent, while other connections use it. TLS 1.1 and later do not require that. */
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	verify_free(ssl);
	SSL_free(ssl);
	return NULL;
}
