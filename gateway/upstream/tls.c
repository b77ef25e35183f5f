/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/macro.h"
#include "gateway/upstream/certificate.h"

enum {
	/* Room for the one name or date that goes into a failure's detail beside other words. */
	TLS_TEXT_MAX = 128,
};

enum trust {
	TRUST_NOBODY, /* for connections that are not verified: saves reading the system's store */
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
};

int tls_store_new(struct tls_store **ret_store)
{
	struct tls_store *store = calloc(1, sizeof(*store));

	if (!store) {
		return -ENOMEM;
	}
	SLIST_INIT(&store->contexts);
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

struct tls_store *tls_store_free(struct tls_store *store)
{
	struct tls_context *context;

	if (!store) {
		return NULL;
	}
	while ((context = SLIST_FIRST(&store->contexts))) {
		SLIST_REMOVE_HEAD(&store->contexts, in_store);
		context_free(context);
	}
	free(store);
	return NULL;
}

/* In place of OpenSSL's own verification, so that the name is part of what the handshake asks. */
static int verify_certificate(X509_STORE_CTX *verification, void *userdata)
{
	(void)userdata;
	SSL *ssl = X509_STORE_CTX_get_ex_data(verification,
					      SSL_get_ex_data_X509_STORE_CTX_idx());

	if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) {
		return 1;
	}
	if (X509_verify_cert(verification) <= 0) {
		return 0;
	}
	const char *domain = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (domain && certificate_names(X509_STORE_CTX_get0_cert(verification), domain)) {
		return 1;
	}
	X509_STORE_CTX_set_error(verification, X509_V_ERR_HOSTNAME_MISMATCH);
	return 0;
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
	/* The operator may trust a server's own certificate, or an intermediate one, by naming it. */
	X509_STORE_set_flags(SSL_CTX_get_cert_store(context->ctx), X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
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
	/* A stream has its own end (</stream:stream>), so a FIN without close_notify hides nothing. */
	SSL_CTX_set_options(context->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
						  SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(context->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					       SSL_MODE_RELEASE_BUFFERS);
	/* A record's header and body, and all of a short answer, in one read(2). */
	SSL_CTX_set_read_ahead(context->ctx, 1);
	SSL_CTX_set_session_cache_mode(context->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_cert_verify_callback(context->ctx, verify_certificate, NULL);
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

	SLIST_FOREACH (context, &store->contexts, in_store) {
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

int tls_connection_new(struct tls_store *store, const char *domain, const char *ca_file,
		       bool verify, SSL **ret_ssl)
{
	enum trust trust = !verify ? TRUST_NOBODY : ca_file ? TRUST_FILE : TRUST_SYSTEM;
	struct tls_context *context;
	int r = store_find(store, trust, ca_file, &context);
	SSL *ssl = NULL;

	if (r == 0) {
		ssl = SSL_new(context->ctx);
		if (!ssl || !SSL_set_tlsext_host_name(ssl, domain)) {
			SSL_free(ssl);
			r = -ENOMEM;
		}
	}
	if (r < 0) {
		ERR_clear_error();
		return r;
	}
	SSL_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_set_connect_state(ssl);
	*ret_ssl = ssl;
	return 0;
}

static X509 *peer_certificate(const SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	return chain && sk_X509_num(chain) ? sk_X509_value(chain, 0) : NULL;
}

static void date_text(const ASN1_TIME *date, char text[static TLS_TEXT_MAX])
{
	struct tm utc;

	text[0] = '\0';
	if (ASN1_TIME_to_tm(date, &utc)) {
		(void)strftime(text, TLS_TEXT_MAX, "%Y-%m-%d", &utc);
	}
}

/* Names the certificate's own dates when they are what is wrong; it may be an issuer's. */
static void failure_set_dates(struct failure *failure, const X509 *certificate, const char *why)
{
	char text[TLS_TEXT_MAX];

	if (certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
		date_text(X509_get0_notAfter(certificate), text);
		failure_set(failure, FAILURE_CERTIFICATE_EXPIRED, "it expired on %s", text);
	} else if (certificate && X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
		date_text(X509_get0_notBefore(certificate), text);
		failure_set(failure, FAILURE_CERTIFICATE_EXPIRED, "it is valid from %s", text);
	} else {
		failure_set(failure, FAILURE_CERTIFICATE_EXPIRED, "of an issuer: %s", why);
	}
}

static void failure_set_name(struct failure *failure, const X509 *certificate, const char *domain)
{
	char text[TLS_TEXT_MAX] = "none";

	if (certificate) {
		certificate_list_names(certificate, text, sizeof(text));
	}
	failure_set(failure, FAILURE_CERTIFICATE_NAME, "names in the certificate: %s; wanted: %s",
		    text, domain);
}

static void failure_set_issuer(struct failure *failure, const X509 *certificate, const char *why)
{
	char text[TLS_TEXT_MAX] = "unknown";

	if (certificate) {
		/* Escapes what is not printable ASCII. */
		X509_NAME_oneline(X509_get_issuer_name(certificate), text, sizeof(text));
	}
	failure_set(failure, FAILURE_CERTIFICATE_UNTRUSTED, "%s; issuer %s", why, text);
}

static void failure_set_verify(struct failure *failure, const X509 *certificate, long result,
			       const char *domain)
{
	const char *why = X509_verify_cert_error_string(result);

	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
		failure_set_name(failure, certificate, domain);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		failure_set_dates(failure, certificate, why);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		failure_set_issuer(failure, certificate, why);
		break;
	default:
		failure_set(failure, FAILURE_CERTIFICATE_INVALID, "%s", why);
		break;
	}
}

void tls_failure(SSL *ssl, const char *domain, struct failure *ret_failure)
{
	long result = SSL_get_verify_result(ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	ERR_clear_error();
	if (result != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
		failure_set_verify(ret_failure, peer_certificate(ssl), result, domain);
	} else {
		failure_set(ret_failure, FAILURE_TLS_HANDSHAKE, "%s",
			    reason ? reason : "the server ended the connection");
	}
}
