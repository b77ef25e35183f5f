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

/* Connects OpenSSL to the wire's socket. Returns 0 or -ENOMEM. */
static int connect_socket(struct wire *wire)
{
	BIO *bio = wire_bio_new(wire);

	if (!bio) {
		tls_errors_clear();
		return -ENOMEM;
	}
	SSL_set_bio(wire->tls->ssl, bio, bio);
	return 0;
}

/* Whether a signature takes less time than handing the connection to the helper. With P-256 and
 * Ed25519 it takes 20 to 40 us; with RSA of 2048 bits 250, of 4096 bits 4,000, with P-384 800. */
static bool has_quick_key(const SSL *ssl)
{
	const EVP_PKEY *key = SSL_get_privatekey(ssl);
	char group[32];

	return !key || EVP_PKEY_is_a(key, "ED25519") ||
	       (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
		strcmp(group, SN_X9_62_prime256v1) == 0);
}

static int begin(struct wire *wire)
{
	struct wire_tls *tls = wire->tls;
	int r;

	tls->ssl = SSL_new(tls->context);
	if (!tls->ssl) {
		tls_errors_clear();
		return -ENOMEM;
	}
	if (wire->hub->options.helper && !has_quick_key(tls->ssl)) {
		r = wire_shake_begin(wire);
	} else {
		r = connect_socket(wire);
	}
	tls_errors_clear();
	if (r < 0) {
		SSL_free(tls->ssl);
		tls->ssl = NULL;
		return r;
	}
	SSL_set_accept_state(tls->ssl);
	tls_controls_watch(&tls->controls, tls->ssl);
	SSL_CTX_free(tls->context);
	tls->context = NULL;
	return 0;
}

static enum wire_result go_on_with_helper(struct wire *wire, const char **ret_reason)
{
	enum wire_result result = wire_shake_on(wire, ret_reason);

	if (result == WIRE_AGAIN) {
		return WIRE_AGAIN;
	}
	if (result == WIRE_OK) {
		wire_shake_end(wire->tls);
		if (connect_socket(wire) == 0) {
			wire->is_secure = true;
			return WIRE_OK;
		}
		*ret_reason = "out of memory";
	}
	wire->is_hung_up = true;
	return WIRE_BROKEN;
}

enum wire_result wire_handshake(struct wire *wire, const char **ret_reason)
{
	struct wire_tls *tls = wire->tls;

	if (!tls->ssl && begin(wire) < 0) {
		*ret_reason = "out of memory";
		return WIRE_BROKEN;
	}
	if (tls->shake) {
		return go_on_with_helper(wire, ret_reason);
	}
	tls_errors_clear();
	errno = 0;
	int r = SSL_do_handshake(tls->ssl);
	int error = errno;
	int wanted = SSL_get_error(tls->ssl, r);
	/* OpenSSL empties its queue at the next call. */
	const char *reason = wire_tls_reason(tls, r, error);

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
