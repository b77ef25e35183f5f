/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/client.h"

static void test_same(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::1]:1", true},
		{"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1:1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct address a;
		struct address b;

		assert_int_equal(address_parse(sv_from(rows[i].a), -1, &a), 0);
		assert_int_equal(address_parse(sv_from(rows[i].b), -1, &b), 0);
		assert_int_equal(client_is_same(&a, &b), rows[i].same);
	}
}

/* Xorshift, so that each run has the same numbers. */
static uint64_t next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* Whichever bit of the key differs, each bit of the hash differs with about half of the secrets.
 * Who does not know the secret cannot choose clients that collide. */
static void test_hash(void **state)
{
	enum {
		N_SECRETS = 1024,
	};
	uint64_t random = 1;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		unsigned n_changes[32] = {0};

		for (unsigned j = 0; j < N_SECRETS; j++) {
			uint64_t key = next(&random);
			struct hash_secret secret = {{next(&random), next(&random)}};
			unsigned change = client_hash(key, &secret) ^
					  client_hash(key ^ UINT64_C(1) << i, &secret);

			for (unsigned k = 0; k < 32; k++) {
				n_changes[k] += change >> k & 1;
			}
		}
		for (unsigned k = 0; k < 32; k++) {
			assert_in_range(n_changes[k], N_SECRETS / 4, N_SECRETS * 3 / 4);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
