/* SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "common/macro.h"
#include "gateway/upstream/tls/certificate.h"
#include "gateway/upstream/tls/pin.h"
#include "gateway/upstream/tls/verify.h"

enum {
	/* For the name or date in a failure's detail; leaves room for other words. */
	TEXT_MAX = 128,
};

static X509 *peer_certificate(const SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	return chain && sk_X509_num(chain) ? sk_X509_value(chain, 0) : NULL;
}

static void date_text(const ASN1_TIME *date, char text[static TEXT_MAX])
{
	struct tm utc;

	text[0] = '\0';
	if (ASN1_TIME_to_tm(date, &utc)) {
		(void)strftime(text, TEXT_MAX, "%Y-%m-%d", &utc);
	}
}

/* Gives the date if the server's own certificate has expired. Otherwise an issuer's has. */
static void fail_expired(struct failure *failure, const X509 *certificate, const char *why)
{
	char text[TEXT_MAX];

	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
		date_text(X509_get0_notAfter(certificate), text);
		failure_set(failure, FAILURE_CERTIFICATE_EXPIRED, "it expired on %s", text);
	} else {
		failure_set(failure, FAILURE_CERTIFICATE_EXPIRED, "of an issuer: %s", why);
	}
}

static void fail_early(struct failure *failure, const X509 *certificate, const char *why)
{
	char text[TEXT_MAX];

	if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
		date_text(X509_get0_notBefore(certificate), text);
		failure_set(failure, FAILURE_CERTIFICATE_EARLY, "it is valid from %s", text);
	} else {
		failure_set(failure, FAILURE_CERTIFICATE_EARLY, "of an issuer: %s", why);
	}
}

static void fail_name(struct failure *failure, const X509 *certificate, const struct verify *verify)
{
	char text[TEXT_MAX];

	certificate_list_names(certificate, text, sizeof(text));
	failure_set(failure, FAILURE_CERTIFICATE_NAME,
		    "names in the certificate: %s; wanted: %s%s%s", text, verify->domain,
		    verify->host ? " or " : "", verify->host ? verify->host : "");
}

static void fail_issuer(struct failure *failure, enum failure_kind kind, const X509 *certificate,
			const char *why)
{
	char text[TEXT_MAX];

	/* Escapes all but printable ASCII. */
	X509_NAME_oneline(X509_get_issuer_name(certificate), text, sizeof(text));
	failure_set(failure, kind, "%s; issuer %s", why, text);
}

static void fail_weak(struct failure *failure, const X509 *certificate, const char *why)
{
	const EVP_PKEY *key = X509_get0_pubkey(certificate);
	const char *name = key ? EVP_PKEY_get0_type_name(key) : NULL;

	failure_set(failure, FAILURE_CERTIFICATE_WEAK,
		    "%s; its own key is %s of %d bits, signed with %s", why,
		    name ? name : "unknown", key ? EVP_PKEY_get_bits(key) : 0,
		    OBJ_nid2ln(X509_get_signature_nid(certificate)));
}

/* Names the key, so that an operator who knows that it was changed can pin it. */
static void fail_pin(struct failure *failure, const X509 *certificate)
{
	char text[PIN_TEXT_MAX];
	struct pin pin;

	failure_set(failure, FAILURE_CERTIFICATE_PIN, "it is %s",
		    pin_of(certificate, &pin) == 0 ? pin_format(&pin, text) : "unreadable");
}

static void fail_verify(struct failure *failure, const X509 *certificate, int result,
			const struct verify *verify)
{
	const char *why = verify->is_too_large ? "it has too many bytes"
					       : X509_verify_cert_error_string(result);

	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
		fail_name(failure, certificate, verify);
		break;
	case X509_V_ERR_APPLICATION_VERIFICATION:
		fail_pin(failure, certificate);
		break;
	case X509_V_ERR_DANE_NO_MATCH:
		failure_set(failure, FAILURE_CERTIFICATE_DANE, "no TLSA record of %s matches it",
			    verify->host);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		fail_expired(failure, certificate, why);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		fail_early(failure, certificate, why);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		fail_issuer(failure, FAILURE_CERTIFICATE_SELF_SIGNED, certificate, why);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		fail_issuer(failure, FAILURE_CERTIFICATE_UNTRUSTED, certificate, why);
		break;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		fail_weak(failure, certificate, why);
		break;
	default:
		failure_set(failure, FAILURE_CERTIFICATE_INVALID, "%s", why);
		break;
	}
}

/* A failure that does not concern the certificate. */
static void fail_handshake(struct failure *failure, unsigned long error,
			   const struct verify *verify)
{
	const char *reason = ERR_reason_error_string(error);

	switch (ERR_GET_REASON(error)) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
	case SSL_R_DH_KEY_TOO_SMALL:
	case SSL_R_WRONG_SIGNATURE_TYPE:
		failure_set(failure, FAILURE_TLS_PROTOCOL, "%s", reason);
		break;
	case SSL_R_WRONG_VERSION_NUMBER:
		failure_set(failure, FAILURE_TLS_HANDSHAKE, "what the server sent is not TLS");
		break;
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		failure_set(failure, FAILURE_TLS_HANDSHAKE,
			    "the server says that it has no XMPP there (ALPN)");
		break;
	case SSL_R_BAD_EXTENSION:
		/* OpenSSL has no error of its own for a protocol that was not offered. */
		failure_set(failure, FAILURE_TLS_HANDSHAKE, "%s",
			    verify->is_direct
				    ? "the server chose another protocol than XMPP (ALPN), "
				      "or sent a broken extension"
				    : reason);
		break;
	case SSL_R_TLSV1_UNRECOGNIZED_NAME:
		failure_set(failure, FAILURE_TLS_HANDSHAKE,
			    "the server does not know the domain (SNI)");
		break;
	case SSL_R_EXCESSIVE_MESSAGE_SIZE:
		failure_set(failure, FAILURE_TLS_HANDSHAKE,
			    "the server's certificates are too large");
		break;
	default:
		failure_set(failure, FAILURE_TLS_HANDSHAKE, "%s",
			    reason ? reason : "the server ended the connection");
		break;
	}
}

void tls_failure(SSL *ssl, struct failure *ret_failure)
{
	long result = SSL_get_verify_result(ssl);
	unsigned long error = ERR_peek_error();
	const X509 *certificate = peer_certificate(ssl);

	ERR_clear_error();
	if (result != X509_V_OK && certificate && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
		fail_verify(ret_failure, certificate, (int)result, verify_of(ssl));
		return;
	}
	struct verify *verify = verify_of(ssl);

	fail_handshake(ret_failure, error, verify);
	if (verify->has_offered && error) {
		/* Some servers hand out sessions but cannot resume them. OpenSSL servers, for
		 * example, send an alert if they ask for client certificates and have no id
		 * context. Without this, every second connection would fail. */
		session_cache_bar(verify->cache, verify->key, time(NULL) + TLS_SESSION_AGE_MAX);
	}
}
