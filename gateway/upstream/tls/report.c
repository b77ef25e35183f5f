/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls/report.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/macro.h"
#include "gateway/upstream/tls/verify.h"

enum {
	USAGE_DANE_EE = 3, /* RFC 7218 */
};

static void keep_text(char ret_text[static TLS_REPORT_TEXT_MAX], struct sv text)
{
	text = sv_first(text, TLS_REPORT_TEXT_MAX - 1);
	if (text.n) {
		memcpy(ret_text, text.data, text.n);
	}
	ret_text[text.n] = '\0';
}

/* The most specific entry of this kind, which is the last. Returns false if there is none. */
static bool entry_text(const X509_NAME *name, int nid, char ret_text[static TLS_REPORT_TEXT_MAX])
{
	const X509_NAME_ENTRY *entry = NULL;
	unsigned char *utf8 = NULL;

	for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
		entry = X509_NAME_get_entry(name, at);
	}
	int n = entry ? ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry)) : -1;

	if (n < 0) {
		return false;
	}
	keep_text(ret_text, (struct sv){(const char *)utf8, (size_t)n});
	OPENSSL_free(utf8);
	return n > 0;
}

/* "R11 (Let's Encrypt)", or as much of it as there is. */
static void name_text(const X509_NAME *name, char ret_text[static TLS_REPORT_TEXT_MAX])
{
	char common[TLS_REPORT_TEXT_MAX];
	char organisation[TLS_REPORT_TEXT_MAX];
	bool has_common = entry_text(name, NID_commonName, common);
	bool has_organisation = entry_text(name, NID_organizationName, organisation);

	if (has_common && has_organisation) {
		(void)snprintf(ret_text, TLS_REPORT_TEXT_MAX, "%.140s (%.140s)", common,
			       organisation);
	} else if (has_common || has_organisation) {
		keep_text(ret_text, sv_from(has_common ? common : organisation));
	} else {
		X509_NAME_oneline(name, ret_text, TLS_REPORT_TEXT_MAX);
	}
}

static int64_t seconds_of(const ASN1_TIME *date)
{
	struct tm utc;

	return ASN1_TIME_to_tm(date, &utc) ? (int64_t)timegm(&utc) : 0;
}

static void on_name(void *userdata, enum certificate_name_kind kind, struct sv name)
{
	struct tls_report *report = userdata;

	if (report->n_names < TLS_REPORT_NAMES_MAX) {
		report->names[report->n_names].kind = kind;
		keep_text(report->names[report->n_names].text, name);
	}
	report->n_names++;
}

static void report_certificate(const X509 *certificate, struct tls_report *report)
{
	const EVP_PKEY *key = X509_get0_pubkey(certificate);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	struct pin pin;

	report->has_certificate = true;
	name_text(X509_get_subject_name(certificate), report->subject);
	name_text(X509_get_issuer_name(certificate), report->issuer);
	report->from = seconds_of(X509_get0_notBefore(certificate));
	report->to = seconds_of(X509_get0_notAfter(certificate));
	(void)snprintf(report->key, sizeof(report->key), "%s, %d bits", type ? type : "unknown",
		       key ? EVP_PKEY_get_bits(key) : 0);
	report->signature = OBJ_nid2ln(X509_get_signature_nid(certificate));
	if (pin_of(certificate, &pin) == 0) {
		pin_format(&pin, report->pin);
	}
	certificate_each_name(certificate, on_name, report);
}

static void report_chain(SSL *ssl, struct tls_report *report)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	long result = SSL_get_verify_result(ssl);

	switch (result) {
	case X509_V_OK:
	/* set after the chain was verified: verify_certificate() */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_APPLICATION_VERIFICATION:
		report->chain =
			report->dane == TLS_FINDING_GOOD && report->dane_usage == USAGE_DANE_EE
				? TLS_FINDING_NOT_ASKED
				: TLS_FINDING_GOOD;
		if (chain && sk_X509_num(chain)) {
			name_text(
				X509_get_subject_name(sk_X509_value(chain, sk_X509_num(chain) - 1)),
				report->anchor);
		}
		break;
	case X509_V_ERR_DANE_NO_MATCH:
		break;
	default:
		report->chain = TLS_FINDING_BAD;
		report->chain_words = X509_verify_cert_error_string(result);
		break;
	}
}

static void report_dane(const struct verify *verify, struct tls_report *report)
{
	const struct verify_dane *dane = &verify->dane;

	if (!verify->host) {
		return;
	}
	report->dane = dane->is_found ? TLS_FINDING_GOOD : TLS_FINDING_BAD;
	report->dane_usage = dane->usage;
	report->dane_selector = dane->selector;
	report->dane_matching = dane->matching;
}

static void report_name(const struct verify *verify, const X509 *certificate,
			struct tls_report *report)
{
	report->name = TLS_FINDING_GOOD;
	if (report->dane == TLS_FINDING_GOOD && report->dane_usage == USAGE_DANE_EE) {
		return;
	}
	if (certificate_names(certificate, verify->domain)) {
		report->named = verify->domain;
	} else if (verify->host && certificate_names(certificate, verify->host)) {
		report->named = verify->host;
	} else {
		report->name = TLS_FINDING_BAD;
	}
}

void tls_report(SSL *ssl, struct tls_report *ret_report)
{
	const struct verify *verify = verify_of(ssl);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	const X509 *certificate = sent && sk_X509_num(sent) ? sk_X509_value(sent, 0) : NULL;
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const unsigned char *alpn;
	unsigned n_alpn;

	*ret_report = (struct tls_report){.version = NULL};
	cipher = cipher ? cipher : SSL_get_pending_cipher(ssl);
	if (cipher) {
		ret_report->version = SSL_get_version(ssl);
		ret_report->cipher = SSL_CIPHER_get_name(cipher);
		ret_report->group = SSL_group_to_name(ssl, SSL_get_negotiated_group(ssl));
	}
	SSL_get0_alpn_selected(ssl, &alpn, &n_alpn);
	/* A server that chooses another protocol fails the handshake. */
	ret_report->has_alpn = n_alpn > 0;
	if (!certificate) {
		return;
	}
	ret_report->n_sent = verify->n_sent ? verify->n_sent : (size_t)sk_X509_num(sent);
	report_certificate(certificate, ret_report);
	if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) {
		return;
	}
	report_dane(verify, ret_report);
	report_chain(ssl, ret_report);
	report_name(verify, certificate, ret_report);
	if (verify->n_pins) {
		ret_report->pinned = pins_match(verify->pins, verify->n_pins, certificate)
					   ? TLS_FINDING_GOOD
					   : TLS_FINDING_BAD;
	}
}
