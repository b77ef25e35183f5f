/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Makes the TLS context of a listener from its section, in one place for --check and for the
 * listener itself: what has been checked is what will be used.
 */
#include <openssl/ssl.h>

#include "common/macro.h"
#include "gateway/config/listener.h"

enum {
	TLS_SERVER_WHY_MAX = 256,
	/* Bytes of the certificates that a client may show. */
	TLS_SERVER_CHAIN_MAX = 32768,
};

/* Reads the files of @tls and makes a context with certificate, key, ciphers, versions, the verify
 * mode with its authorities, tickets, the stapled OCSP response, and ALPN http/1.1 (other offers of
 * the client are ignored). A key that is encrypted is refused, because nobody is there to be asked.
 * Returns 0, -ENOMEM, or -EINVAL; then @ret_why says in words which key of the section is wrong
 * ("key: ..."). The caller owns *ret_context. */
_must_check_ int tls_server_new(const struct config_listener_tls *tls,
				char ret_why[static TLS_SERVER_WHY_MAX], SSL_CTX **ret_context);
