/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls/pin.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum {
	PIN_BASE64 = 44, /* 32 bytes; the last character is a single "=" */
};

static const struct sv prefix = {"sha256//", sizeof("sha256//") - 1};

const char *pin_format(const struct pin *pin, char text[static PIN_TEXT_MAX])
{
	memcpy(text, prefix.data, prefix.n);
	EVP_EncodeBlock((unsigned char *)text + prefix.n, pin->sha256, PIN_SIZE);
	return text;
}

int pin_parse(struct sv text, struct pin *ret_pin)
{
	struct sv base64 = sv_skip(text, prefix.n);
	unsigned char bytes[PIN_SIZE + 1];
	char again[PIN_TEXT_MAX];
	struct pin pin;

	if (!sv_starts_with(text, prefix) || base64.n != PIN_BASE64 ||
	    EVP_DecodeBlock(bytes, (const unsigned char *)base64.data, PIN_BASE64) !=
		    (int)sizeof(bytes)) {
		return -EINVAL;
	}
	memcpy(pin.sha256, bytes, PIN_SIZE);
	/* The decoder accepts white space, and any value of the unused bits of the last
	 * character. */
	if (!sv_eq(sv_from(pin_format(&pin, again)), text)) {
		return -EINVAL;
	}
	*ret_pin = pin;
	return 0;
}

int pin_of(const X509 *certificate, struct pin *ret_pin)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	bool is_made =
		n > 0 && EVP_Digest(der, (size_t)n, ret_pin->sha256, NULL, EVP_sha256(), NULL);

	OPENSSL_free(der);
	if (!is_made) {
		ERR_clear_error();
		return -EINVAL;
	}
	return 0;
}

bool pins_match(const struct pin *pins, size_t n_pins, const X509 *certificate)
{
	struct pin pin;

	if (pin_of(certificate, &pin) < 0) {
		return false;
	}
	for (size_t i = 0; i < n_pins; i++) {
		if (memcmp(pins[i].sha256, pin.sha256, PIN_SIZE) == 0) {
			return true;
		}
	}
	return false;
}
