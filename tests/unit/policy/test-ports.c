/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/ports.h"
#include "tests/unit/failmalloc.h"

/* Both ends of each range, and the ports next to them. */
static void test_ranges(void **state)
{
	static const char *const texts[] = {"443", "1024-1030", "65535", "5000-5000", "1-2"};
	static const uint16_t in[] = {1, 2, 443, 1024, 1027, 1030, 5000, 65535};
	static const uint16_t out[] = {0, 3, 442, 444, 1023, 1031, 4999, 5001, 65534};
	struct ports ports;
	size_t bad;

	(void)state;
	assert_int_equal(ports_init(&ports, texts, ARRAY_LENGTH(texts), &bad), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(in); i++) {
		assert_true(ports_allow(&ports, in[i]));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(out); i++) {
		assert_false(ports_allow(&ports, out[i]));
	}
	ports_deinit(&ports);
	assert_false(ports_allow(&ports, 443));
	ports_deinit(&ports);
}

static void test_none(void **state)
{
	struct ports ports;
	size_t bad;

	(void)state;
	assert_int_equal(ports_init(&ports, NULL, 0, &bad), 0);
	assert_false(ports_allow(&ports, 5222));
	ports_deinit(&ports);
}

static void test_refused(void **state)
{
	static const char *const bad_texts[] = {
		"",      "0",       "65536",   "-",    "443-", "-443",    "0-5",
		"5-0",   "5-65536", "444-443", " 443", "443 ", "+443",    "44a",
		"1-2-3", "1--2",    "0x1bb",   "*",    "any",  "443,444", "1 - 2",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bad_texts); i++) {
		const char *const texts[] = {"1", "2-3", bad_texts[i], "x"};
		struct ports ports;
		size_t bad = 0;

		if (ports_init(&ports, texts, ARRAY_LENGTH(texts), &bad) != -EINVAL) {
			fail_msg("taken: '%s'", bad_texts[i]);
		}
		assert_int_equal(bad, 2);
	}
}

static int scenario(void *userdata)
{
	static const char *const texts[] = {"443", "1024-65535"};
	struct ports ports;
	size_t bad;
	int r = ports_init(&ports, texts, ARRAY_LENGTH(texts), &bad);

	(void)userdata;
	if (r == 0) {
		ports_deinit(&ports);
	}
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
