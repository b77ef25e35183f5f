/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Describes a handshake, completed or failed, for display: the connection, the server's
 * certificate, and the result of each check. Texts may hold any bytes that a stranger wrote: escape
 * them.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/upstream/tls/certificate.h"
#include "gateway/upstream/tls/pin.h"

enum {
	TLS_REPORT_TEXT_MAX = 300,
	/* Names that are stored; a certificate may have hundreds. */
	TLS_REPORT_NAMES_MAX = 24,
};

/* The result of a check of the certificate. */
enum tls_finding {
	TLS_FINDING_NOT_ASKED,
	TLS_FINDING_GOOD,
	TLS_FINDING_BAD,
};

struct tls_report_name {
	enum certificate_name_kind kind;
	char text[TLS_REPORT_TEXT_MAX];
};

struct tls_report {
	const char *version; /* "TLSv1.3"; NULL like `cipher` when none was agreed on */
	const char *cipher;
	const char *group; /* of the key exchange; NULL when unknown */
	bool has_alpn;     /* the server chose xmpp-client */

	bool has_certificate; /* the fields below are set */
	char subject[TLS_REPORT_TEXT_MAX];
	char issuer[TLS_REPORT_TEXT_MAX];
	int64_t from, to; /* seconds as of time(2); 0 when unreadable */
	char key[64];     /* "RSA, 2048 bits" */
	const char *signature;
	/* of its key, in the notation of the configuration; "" when unreadable */
	char pin[PIN_TEXT_MAX];
	struct tls_report_name names[TLS_REPORT_NAMES_MAX];
	size_t n_names; /* may exceed what is stored */
	size_t n_sent;  /* certificates that the server sent, including its own */

	enum tls_finding chain;           /* not asked when DANE-EE decides alone */
	const char *chain_words;          /* the reason when bad */
	char anchor[TLS_REPORT_TEXT_MAX]; /* the authority that a good chain leads to */
	enum tls_finding name;            /* also set when the chain is bad */
	/* the name that matched; NULL when DANE-EE requires none */
	const char *named;
	enum tls_finding pinned;
	enum tls_finding dane;
	uint8_t dane_usage, dane_selector, dane_matching; /* of the TLSA record that matched */
};

/* Pointers in the report are static or belong to @ssl. */
void tls_report(SSL *ssl, struct tls_report *ret_report);
