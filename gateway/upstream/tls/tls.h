/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * TLS connections to servers, with OpenSSL: a client context for each trust store that a worker
 * uses, and the sessions that can be resumed. A certificate is verified within the handshake
 * (verify.h) against the XMPP domain; against the SRV target only if signed DNS led there.
 *
 * policy   what a connection requires of the server: names, authorities, keys
 * resumed  a handshake in which the server proves that it is the one of an earlier connection and
 *          shows no certificate. Uses only sessions that were verified under the same policy, for
 *          at most an hour after the certificate was verified and never beyond its end.
 *
 * This header shows OpenSSL's types because channel.c reads and writes through them.
 */
#include <openssl/ssl.h>
#include <stdbool.h>

#include "gateway/failure.h"
#include "gateway/upstream/dns/tlsa.h"
#include "policy/domain-rules.h"

/* a worker's contexts, made on first use: one for the system's store and one for each ca_file */
struct tls_store;

enum {
	/* Domains whose sessions are cached. A session may hold a ticket and the server's
	 * certificate, and clients can make the gateway visit any domain. */
	TLS_SESSIONS_MAX = 512,
	/* Longer tickets are not kept. Usual are some hundred bytes; a server could send 64 KB. */
	TLS_TICKET_MAX = 8192,
	/* Seconds between the verification of a certificate and the last connection resumed from
	 * it, so that a change of trust takes effect. */
	TLS_SESSION_AGE_MAX = 3600,
	/* Bytes of the server's certificates. Until they are verified, OpenSSL may need twelve
	 * times as much memory for them. A chain of four has about 8 KB; OpenSSL's default allows
	 * 100 KB. */
	TLS_CHAIN_MAX = 32768,
	/* The largest certificate of the server itself, in bytes. OpenSSL keeps the decoded form
	 * with the connection and with each session that it can resume. A certificate with
	 * thousands of names of one letter takes 36 times its size in that form. This limit keeps
	 * it below what may be pending for a client. Usual certificates have 1 to 2 KB; one with a
	 * hundred names has up to 8. */
	TLS_OWN_MAX = 12288,
	/* Certificates between the server's own and the authority. Each signature is checked, which
	 * takes a millisecond with a slow kind of key, and 32 KB hold fifty. Usual are one or
	 * two. */
	TLS_CHAIN_DEPTH_MAX = 10,
};

/* Pointers are borrowed for the call. */
struct tls_policy {
	const char *domain;  /* ascii form; sent as SNI, and what the certificate must name */
	const char *ca_file; /* the trusted authorities; NULL: the system's */
	/* false: accepts any certificate and ignores all that follows except `is_direct` */
	bool must_verify;
	bool is_direct;         /* TLS from the first byte: ALPN announces XMPP (XEP-0368) */
	const struct pin *pins; /* the server's key must be one of these, in addition to all else */
	size_t n_pins;
	/* Where signed DNS says that the server is, and its TLSA records (RFC 6698); set both or
	 * none. Only allowed if everything that led to @host was signed (AD=1), including the SRV
	 * record. Otherwise an attacker who forges it could bring TLSA records of his own (RFC
	 * 7673, 3.1). */
	const char *host;
	const struct tlsa_set *tlsa;
};

_must_check_ int tls_store_new(struct tls_store **ret_store);
struct tls_store *tls_store_free(struct tls_store *store);

/* Forgets the authorities that were read, and the sessions that were verified with them.
 * Connections that begin from now on read the files anew. */
void tls_store_renew(struct tls_store *store);

/* Makes a client connection for @policy: SNI set, TLS 1.2 or later, partial and moving writes,
 * buffers released when idle, a cached session offered. The caller owns it until
 * tls_connection_free(). @store must outlive it. Returns 0, -ENOMEM, or -EINVAL when the ca_file
 * cannot be used. */
_must_check_ int tls_connection_new(struct tls_store *store, const struct tls_policy *policy,
				    SSL **ret_ssl);

/* Frees the connection. Its session stays resumable, however the connection ended. But if the
 * handshake did not complete, the session that it offered is forgotten. Takes NULL; returns
 * NULL. */
SSL *tls_connection_free(SSL *ssl);

/* Whether a session was offered. If the server resumes it, it shows no certificate. */
bool tls_connection_has_offered(const SSL *ssl);

/* Until tls_connection_return(), another thread has the connection. A session that arrives
 * meanwhile is kept for the cache until then. Both are called in the thread of the store. */
void tls_connection_lend(SSL *ssl);
void tls_connection_return(SSL *ssl);

/* Describes why the handshake on @ssl failed: TLS_* or CERTIFICATE_*. Empties OpenSSL's error
 * queue. If a session was offered and the certificate is not to blame, no session is offered for an
 * hour. */
void tls_failure(SSL *ssl, struct failure *ret_failure);
