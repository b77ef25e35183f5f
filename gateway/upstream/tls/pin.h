/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Pinned keys: the SHA-256 of a certificate's SubjectPublicKeyInfo in curl's notation, "sha256//"
 * and 44 characters of base64. Of a certificate in PEM it is what this prints:
 *
 *     openssl x509 -pubkey -noout | openssl pkey -pubin -outform der |
 *         openssl dgst -sha256 -binary | base64
 *
 * It does not change when a certificate is renewed with the same key.
 */
#include <openssl/x509.h>
#include <stdbool.h>

#include "common/sv.h"
#include "policy/domain-rules.h"

enum {
	PIN_TEXT_MAX = 64, /* 8 and 44 characters, and a NUL */
};

/* Strict: each key has one notation. Returns 0 or -EINVAL. */
_must_check_ int pin_parse(struct sv text, struct pin *ret_pin);

/* Writes the notation that pin_parse() reads. Returns @text. */
const char *pin_format(const struct pin *pin, char text[static PIN_TEXT_MAX]);

/* The pin of @certificate's public key. Returns 0, or -EINVAL when the key cannot be read. */
_must_check_ int pin_of(const X509 *certificate, struct pin *ret_pin);

/* Whether the key of @certificate is one of @pins. */
bool pins_match(const struct pin *pins, size_t n_pins, const X509 *certificate);
