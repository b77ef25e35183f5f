/* SPDX-License-Identifier: MIT */
#include "common/hash.h"

#include "common/random.h"

int hash_secret_init(struct hash_secret *secret)
{
	return random_bytes(secret, sizeof(*secret));
}

static uint64_t rotate(uint64_t word, unsigned n)
{
	return word << n | word >> (64 - n);
}

static void mix(uint64_t v[4], unsigned n_rounds)
{
	while (n_rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void add_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v, 2);
	v[0] ^= word;
}

static uint64_t little_endian(const unsigned char *bytes, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i++) {
		word |= (uint64_t)bytes[i] << (8 * i);
	}
	return word;
}

uint64_t hash_bytes(const struct hash_secret *secret, const void *data, size_t n)
{
	const unsigned char *bytes = n ? data : "";
	uint64_t v[4] = {
		secret->words[0] ^ UINT64_C(0x736f6d6570736575),
		secret->words[1] ^ UINT64_C(0x646f72616e646f6d),
		secret->words[0] ^ UINT64_C(0x6c7967656e657261),
		secret->words[1] ^ UINT64_C(0x7465646279746573),
	};
	size_t i;

	for (i = 0; n - i >= 8; i += 8) {
		add_word(v, little_endian(bytes + i, 8));
	}
	add_word(v, little_endian(bytes + i, n - i) | (uint64_t)n << 56);
	v[2] ^= 0xff;
	mix(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
