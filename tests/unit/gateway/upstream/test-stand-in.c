/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "gateway/upstream/stand-in.h"
#include "policy/public.h"

static bool lacks_memory;

/* Takes the place of OpenSSL's. */
unsigned char *SHA256(const unsigned char *data, size_t n, unsigned char *ret_digest)
{
	bool is_made =
		!lacks_memory && EVP_Digest(data, n, ret_digest, NULL, EVP_sha256(), NULL) == 1;

	return is_made ? ret_digest : NULL;
}

static struct address made(const char *host, uint16_t port)
{
	struct address address;

	assert_int_equal(stand_in_make(host, port, &address), 0);
	return address;
}

static void test_stand_in(void **state)
{
	struct address a = made("a.onion", 5222), again = made("a.onion", 5223);
	struct address b = made("b.onion", 5222);

	(void)state;
	assert_true(stand_in_is(&a));
	assert_int_equal(address_port(&a), 5222);
	assert_true(address_is_same_host(&a, &again));
	assert_false(address_is_same_host(&a, &b));
	/* Nothing of the name's hash gets beyond the address. */
	assert_int_equal(a.v6.sin6_scope_id, 0);
	assert_int_equal(a.v6.sin6_flowinfo, 0);
	/* Where it must not be used, it is refused like an address of the DNS. */
	assert_false(address_is_public(&a));
}

static void test_others(void **state)
{
	static const char *const texts[] = {"192.0.2.1:1", "[::1]:1", "[2001:db8::1]:1",
					    "[100:0:0:1::1]:1", "[64:ff9b::1]:1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct address address;

		assert_int_equal(address_parse(sv_from(texts[i]), -1, &address), 0);
		assert_false(stand_in_is(&address));
	}
}

/* All hosts would have the same address. */
static void test_without_memory(void **state)
{
	struct address address;

	(void)state;
	lacks_memory = true;
	assert_int_equal(stand_in_make("a.onion", 5222, &address), -ENOMEM);
	lacks_memory = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stand_in),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
