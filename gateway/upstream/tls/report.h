/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a handshake has shown, and what was made of it, for a human to read: done or failed. Texts may be what a stranger wrote, in any
 * bytes: whoever shows them escapes them.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/upstream/tls/certificate.h"
#include "gateway/upstream/tls/pin.h"

enum {
	TLS_REPORT_TEXT_MAX = 300,
	/* Names that are shown; a certificate may have hundreds. */
	TLS_REPORT_NAMES_MAX = 24,
};

/* How something that was asked of the certificate came out. */
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
	const char *version; /* "TLSv1.3"; NULL with cipher: it did not come to that */
	const char *cipher;
	const char *group;   /* of the key exchange; NULL: unknown */
	bool alpn;           /* the server has chosen xmpp-client */
	bool resumed;

	bool has_certificate; /* all that follows */
	char subject[TLS_REPORT_TEXT_MAX];
	char issuer[TLS_REPORT_TEXT_MAX];
	int64_t from, to;     /* seconds as of time(2); 0: cannot be read */
	char key[64];         /* "RSA, 2048 bits" */
	const char *signature;
	char pin[PIN_TEXT_MAX]; /* of its key, as the configuration has it; "": cannot be read */
	struct tls_report_name names[TLS_REPORT_NAMES_MAX];
	size_t n_names;       /* may be more than are there */
	size_t n_sent;        /* certificates that the server sent, its own included */

	enum tls_finding chain;            /* not asked: DANE decided alone */
	const char *chain_words;           /* why it is bad */
	char anchor[TLS_REPORT_TEXT_MAX];  /* of a good one: what it leads to */
	enum tls_finding name;             /* also told when the chain is bad */
	const char *named;                 /* of a good one: which name was wanted and is there; NULL: DANE asks for none */
	enum tls_finding pinned;
	enum tls_finding dane;
	uint8_t dane_usage, dane_selector, dane_matching; /* of the TLSA record that matched */
};

/* Words are OpenSSL's, or @ssl's: valid as long as it is. */
void tls_report(SSL *ssl, struct tls_report *ret_report);
