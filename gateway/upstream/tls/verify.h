/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a connection requires of the server's certificate. All of these must hold:
 *
 * chain  leads to an authority of the store. If there are usable TLSA records, one of them must
 *        match instead, by OpenSSL's rules for the four usages (RFC 6698, 2.1.1; RFC 7671).
 *        Unusable records are ignored.
 * name   the certificate names the domain (certificate.h). With usable TLSA records, the host that
 *        they are about will do as well; with DANE-EE no name is required (RFC 7673, 4).
 * pin    the key is one of the pinned keys, if there are any. Pins only restrict.
 *
 * Private to gateway/upstream/tls.
 */
#include <openssl/ssl.h>

#include "gateway/upstream/tls/session-cache.h"
#include "gateway/upstream/tls/tls.h"

/* The TLSA record that matched. OpenSSL does not tell it once anything else is wrong. */
struct verify_dane {
	bool is_found;
	uint8_t usage, selector, matching;
};

struct verify {
	struct session_cache *cache;
	unsigned epoch; /* of the cache, when the connection began */
	unsigned char key[TRUST_KEY_SIZE];
	bool is_direct;    /* ALPN was sent */
	bool has_offered;  /* a session was offered */
	bool is_too_large; /* the server's own certificate */
	bool is_lent;      /* to another thread than that of the cache */
	/* The latest session that arrived meanwhile, and its end. Owned; NULL: none. */
	SSL_SESSION *fresh;
	int64_t fresh_end;
	struct verify_dane dane;
	size_t n_sent; /* certificates of the server; 0: none was shown, as in resumption */
	int64_t until; /* end of the offered session; seconds as of time(2) */
	char *domain;  /* in `bytes`, like those that follow */
	char *host;    /* NULL unless there are usable TLSA records */
	const struct pin *pins;
	size_t n_pins;
	char bytes[];
};

/* Attaches to @ssl what @policy requires: verify_of() finds it, verify_free() frees it. The trust
 * key also becomes the session id context, so that OpenSSL itself refuses to resume a session that
 * was verified under another. Returns 0 or -ENOMEM. */
_must_check_ int verify_new(SSL *ssl, const struct tls_policy *policy, struct session_cache *cache);
struct verify *verify_of(const SSL *ssl);
void verify_free(SSL *ssl);

/* For SSL_CTX_set_cert_verify_callback(). Of the certificates that the server has sent only its own
 * is left; SSL_get0_verified_chain() has those that were verified. Sets
 * X509_V_ERR_HOSTNAME_MISMATCH for a wrong name and X509_V_ERR_APPLICATION_VERIFICATION for a wrong
 * pin. */
int verify_certificate(X509_STORE_CTX *verification, void *userdata);

/* How long sessions of the full handshake that @ssl completed at @now may be resumed. */
int64_t verify_until(SSL *ssl, int64_t now);
