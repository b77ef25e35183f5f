/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * TLS towards servers with OpenSSL: one client context for each trust store a worker uses, and the sessions that can be
 * resumed. A certificate is judged within the handshake (verify.h), and against the XMPP domain, never against the SRV
 * target unless signed DNS led there.
 *
 * policy   what one connection requires of its server: the names, the authorities, the keys
 * resumed  a handshake in which the server proves that it is the one of an earlier connection, and shows no
 *          certificate. Only a session that was verified under the same policy is used for it, for an hour at most
 *          since its certificate was looked at, and never beyond the end of that certificate.
 *
 * OpenSSL's types show here because channel.c, the other half of this folder, reads and writes through them.
 */
#include <openssl/ssl.h>
#include <stdbool.h>

#include "gateway/failure.h"
#include "gateway/upstream/dns/tlsa.h"
#include "policy/domain.h"

struct tls_store; /* a worker's contexts, made on first use and kept: the system's store, and one for each ca_file */

enum {
	/* Domains whose sessions are kept: a session may hold a ticket and a chain of certificates, and anybody can
	 * have the gateway visit domains of his own. */
	TLS_SESSIONS_MAX = 512,
	/* A longer ticket is not kept: servers send some hundred bytes, and could send 64 KB. */
	TLS_TICKET_MAX = 8192,
	/* Seconds since the certificate was verified, over all that has been resumed from it: what has changed in the
	 * trust in it counts from then on. */
	TLS_SESSION_AGE_MAX = 3600,
	/* Bytes of a server's certificates. They stay in memory as long as the connection does; a chain of four has
	 * about 8 KB, and OpenSSL by itself would take 100. */
	TLS_CHAIN_MAX = 32768,
};

/* The pointers are borrowed for the call; but @pins for the connection's life. */
struct tls_policy {
	const char *domain;     /* ascii form: SNI, and what the certificate must name */
	const char *ca_file;    /* the authorities to trust; NULL: the system's */
	bool verify;            /* false: any certificate will do, and what follows but `direct` counts for nothing */
	bool direct;            /* TLS from the first byte: says by ALPN that it is for XMPP (XEP-0368) */
	const struct pin *pins; /* the server's key must be one of these, besides all else */
	size_t n_pins;
	/* Where signed DNS says that the domain's server is, and what it says of its certificate (RFC 6698). Both or
	 * none; and only if all that led to @host was signed (AD=1), the SRV record too: else whoever forges that
	 * brings his own TLSA record along (RFC 7673, 3.1). */
	const char *host;
	const struct tlsa_set *tlsa;
};

_must_check_ int tls_store_new(struct tls_store **ret_store);
struct tls_store *tls_store_free(struct tls_store *store);

/* A connection object for @policy: SNI set, client side, TLS 1.2 at least, partial and moving writes, buffers released
 * when idle, an earlier session offered. Owned by the caller until tls_connection_free(); @store outlives it.
 * Returns 0, -ENOMEM, -EINVAL when the ca_file cannot be used. */
_must_check_ int tls_connection_new(struct tls_store *store, const struct tls_policy *policy, SSL **ret_ssl);

/* However the connection ended, its session can be resumed; but the one that a handshake was begun with and not brought
 * to an end is forgotten. NULL is fine; returns NULL. */
SSL *tls_connection_free(SSL *ssl);

/* Why the handshake on @ssl failed, in words for the operator and the user: TLS_* or CERTIFICATE_*. Empties OpenSSL's
 * error queue. If a session had been offered and it is not the certificate's fault, none will be for an hour. */
void tls_failure(SSL *ssl, struct failure *ret_failure);
