/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/tls-errors.h"
#include "gateway/wire/state.h"

int wire_expect_tls(struct wire *wire, SSL_CTX *context)
{
	wire->tls = calloc(1, sizeof(*wire->tls));
	if (!wire->tls) {
		return -ENOMEM;
	}
	SSL_CTX_up_ref(context);
	wire->tls->context = context;
	return 0;
}

bool wire_expects_tls(const struct wire *wire)
{
	return wire->tls && wire->tls->context;
}

struct wire_tls *wire_tls_free(struct wire_tls *tls)
{
	if (tls) {
		SSL_CTX_free(tls->context);
		SSL_free(tls->ssl);
		free(tls);
	}
	return NULL;
}

static int begin(struct wire *wire)
{
	struct wire_tls *tls = wire->tls;
	SSL *ssl = SSL_new(tls->context);
	BIO *bio = ssl ? wire_bio_new(wire) : NULL;

	if (!bio) {
		SSL_free(ssl);
		tls_errors_clear();
		return -ENOMEM;
	}
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	tls_controls_watch(&tls->controls, ssl);
	tls->ssl = ssl;
	SSL_CTX_free(tls->context);
	tls->context = NULL;
	return 0;
}

/* Describes why the handshake failed; the text is static. */
static const char *reason_of(const struct wire_tls *tls, int r, int error)
{
	unsigned long code = ERR_peek_error();
	long verified = SSL_get_verify_result(tls->ssl);
	const char *reason = ERR_reason_error_string(code);

	if (tls->hello.is_too_large) {
		return "the client's hello is too large";
	}

	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		return X509_verify_cert_error_string(verified);
	}
	if (reason) {
		return reason;
	}
	if (r < 0 && error) {
		reason = strerrordesc_np(error);
	}
	return reason ? reason : "the client closed the connection within the handshake";
}

enum wire_result wire_handshake(struct wire *wire, const char **ret_reason)
{
	struct wire_tls *tls = wire->tls;

	if (!tls->ssl && begin(wire) < 0) {
		*ret_reason = "out of memory";
		return WIRE_BROKEN;
	}
	tls_errors_clear();
	errno = 0;
	int r = SSL_do_handshake(tls->ssl);
	int error = errno;
	int wanted = SSL_get_error(tls->ssl, r);
	/* OpenSSL empties its queue at the next call. */
	const char *reason = reason_of(tls, r, error);

	if (r == 1) {
		wire->is_secure = true;
		return WIRE_OK;
	}
	if (wanted == SSL_ERROR_WANT_READ || wanted == SSL_ERROR_WANT_WRITE) {
		return wire_tls_result(wire, r);
	}
	tls_errors_clear();
	wire->is_hung_up = true;
	*ret_reason = reason;
	return WIRE_BROKEN;
}
