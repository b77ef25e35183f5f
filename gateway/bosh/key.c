/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/ascii.h"

bool bosh_key_read(struct sv digits, struct bosh_key *ret_key)
{
	*ret_key = (struct bosh_key){0};
	if (digits.n != BOSH_KEY_LENGTH) {
		return false;
	}
	for (size_t i = 0; i < BOSH_KEY_SIZE; i++) {
		int high = ascii_hex_digit(digits.data[2 * i]);
		int low = ascii_hex_digit(digits.data[2 * i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		ret_key->bytes[i] = (uint8_t)(high << 4 | low);
	}
	ret_key->is_set = true;
	return true;
}

bool bosh_key_follows(struct sv digits, const struct bosh_key *expected)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	struct bosh_key key;

	if (!expected->is_set) {
		return true;
	}
	/* The digits are hashed as they were sent. Only the comparison ignores their case. */
	return bosh_key_read(digits, &key) &&
	       EVP_Digest(digits.data, digits.n, hash, NULL, EVP_sha1(), NULL) == 1 &&
	       CRYPTO_memcmp(hash, expected->bytes, BOSH_KEY_SIZE) == 0;
}

bool bosh_key_is_same(const struct bosh_key *a, const struct bosh_key *b)
{
	return a->is_set == b->is_set && CRYPTO_memcmp(a->bytes, b->bytes, BOSH_KEY_SIZE) == 0;
}
