/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * TLS towards servers with OpenSSL: one client context for each trust store a worker uses. A certificate is judged against
 * the XMPP domain (certificate.h), never against the SRV target, and within the handshake: a wrong name fails it.
 *
 * OpenSSL's types show here because channel.c, the other half of this folder, reads and writes through them.
 */
#include <openssl/ssl.h>
#include <stdbool.h>

#include "gateway/failure.h"

struct tls_store; /* a worker's contexts, made on first use and kept: the system's store, and one for each ca_file */

_must_check_ int tls_store_new(struct tls_store **ret_store);
struct tls_store *tls_store_free(struct tls_store *store);

/* A connection object for @domain (ascii form): SNI set, client side, TLS 1.2 at least, partial and moving writes,
 * buffers released when idle. With @verify the chain must lead to @ca_file (NULL: the system's store) and the
 * certificate must name @domain, or the handshake fails. Owned by the caller (SSL_free).
 * Returns 0, -ENOMEM, -EINVAL when @ca_file cannot be used. */
_must_check_ int tls_connection_new(struct tls_store *store, const char *domain, const char *ca_file,
				    bool verify, SSL **ret_ssl);

/* Why the handshake on @ssl failed, in words for the operator and the user: expired, wrong name (which names the
 * certificate had), untrusted, or the protocol. Empties OpenSSL's error queue. */
void tls_failure(SSL *ssl, const char *domain, struct failure *ret_failure);
