/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "common/hash.h"

/* Of the authors' reference implementation (vectors.h): the key and the input are 00 01 02 ... */
static void test_vectors(void **state)
{
	static const struct {
		size_t n;
		unsigned char expected[8];
	} rows[] = {
		{0, {0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72}},
		{1, {0xfd, 0x67, 0xdc, 0x93, 0xc5, 0x39, 0xf8, 0x74}},
		{7, {0x37, 0xd1, 0x01, 0x8b, 0xf5, 0x00, 0x02, 0xab}},
		{8, {0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93}},
		{15, {0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1}},
		{63, {0x72, 0x45, 0x06, 0xeb, 0x4c, 0x32, 0x8a, 0x95}},
	};
	const struct hash_secret secret = {
		{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
	unsigned char input[64];

	(void)state;
	for (size_t i = 0; i < sizeof(input); i++) {
		input[i] = (unsigned char)i;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint64_t hash = hash_bytes(&secret, input, rows[i].n);

		for (size_t k = 0; k < 8; k++) {
			assert_int_equal((unsigned char)(hash >> (8 * k)), rows[i].expected[k]);
		}
		assert_int_equal(hash_value(&secret, input, rows[i].n), (unsigned)hash);
	}
}

/* Each byte of the input and of the secret counts, and no two secrets are alike. */
static void test_secret(void **state)
{
	struct hash_secret one, other;
	char name[] = "_xmpp-client._tcp.example.org";
	unsigned char *bytes = (unsigned char *)&one;

	(void)state;
	assert_int_equal(hash_secret_init(&one), 0);
	assert_int_equal(hash_secret_init(&other), 0);
	assert_memory_not_equal(&one, &other, sizeof(one));
	uint64_t hash = hash_bytes(&one, name, sizeof(name));

	assert_true(hash_bytes(&other, name, sizeof(name)) != hash);
	for (size_t i = 0; i < sizeof(name); i++) {
		name[i] ^= 1;
		assert_true(hash_bytes(&one, name, sizeof(name)) != hash);
		name[i] ^= 1;
	}
	for (size_t i = 0; i < sizeof(one); i++) {
		bytes[i] ^= 0x80;
		assert_true(hash_bytes(&one, name, sizeof(name)) != hash);
		bytes[i] ^= 0x80;
	}
	assert_true(hash_bytes(&one, name, sizeof(name)) == hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
