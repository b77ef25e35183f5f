/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a connection believes of its server, and whether a certificate lives up to it. All that is asked must hold:
 *
 * chain  it leads to an authority of the store; or, where there are usable TLSA records, it is what one of them says,
 *        by OpenSSL's rules for the four usages (RFC 6698, 2.1.1; RFC 7671). Records of which none is usable count
 *        for nothing.
 * name   it names the domain (certificate.h). With usable TLSA records the host that they are about will do as well,
 *        and for DANE-EE no name is asked (RFC 7673, 4).
 * pin    its public key is one of those pinned. A pin narrows what is believed, and never widens it.
 *
 * Private to tls.c, tls-failure.c and tls-report.c.
 */
#include <openssl/ssl.h>

#include "gateway/upstream/tls/session-cache.h"
#include "gateway/upstream/tls/tls.h"

struct verify {
	struct session_cache *cache;
	unsigned char key[TRUST_KEY_SIZE];
	const struct pin *pins; /* borrowed from the policy */
	size_t n_pins;
	bool direct;    /* ALPN has been sent */
	bool offered;   /* so has a session */
	int64_t until;  /* what the offered session is good for; seconds as of time(2) */
	char *domain;   /* both point behind the struct */
	char *host;     /* NULL unless there are usable TLSA records */
	char texts[];
};

/* Gives @ssl what @policy believes: it is found again with verify_of(), and freed with verify_free(). The trust key is
 * the id context of its sessions, too, so that OpenSSL itself resumes none that was verified under another.
 * Returns 0 or -ENOMEM. */
_must_check_ int verify_new(SSL *ssl, const struct tls_policy *policy, struct session_cache *cache);
struct verify *verify_of(const SSL *ssl);
void verify_free(SSL *ssl);

/* For SSL_CTX_set_cert_verify_callback(). What fails leaves its X509_V_ERR_: HOSTNAME_MISMATCH for a name,
 * APPLICATION_VERIFICATION for a pin. */
int verify_certificate(X509_STORE_CTX *verification, void *userdata);

/* Until when the full handshake that @ssl has done at @now may be built upon. */
int64_t verify_until(SSL *ssl, int64_t now);
