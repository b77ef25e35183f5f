/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "gateway/upstream/dns/answers.h"
#include "tests/unit/gateway/upstream/dns/dns-case.h"

static struct dns_message message, before;

/* A reply with so many records of each section. */
static void begin(unsigned n_answers, unsigned n_others)
{
	dns_begin(&message, DNS_RESPONSE, "a.example", DNS_SRV);
	for (unsigned i = 0; i < n_answers; i++) {
		dns_record(&message, DNS_ANSWER, "a.example", DNS_SRV, i, dns_srv(1, 2, 3, "b"));
	}
	for (unsigned i = 0; i < n_others; i++) {
		dns_record(&message, DNS_AUTHORITY, "example", DNS_SOA, 60, dns_soa(60));
		dns_record(&message, DNS_ADDITIONAL, "b", DNS_AAAA, 60, dns_name("c"));
	}
	before = message;
}

static void test_left_alone(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= DNS_ANSWERS_MAX; n += 16) {
		begin(n, 1);
		assert_int_equal(dns_answers_cut(message.data, message.n), before.n);
		assert_memory_equal(message.data, before.data, before.n);
	}
	/* Whatever is wrong with it, it is c-ares' to say so. */
	for (size_t n = 0; n < before.n; n++) {
		assert_int_equal(dns_answers_cut(message.data, n), n);
	}
}

static void test_cut(void **state)
{
	static struct dns_message expected;

	(void)state;
	begin(DNS_ANSWERS_MAX, 0);
	expected = message;
	for (unsigned n = 1; n < 2000; n += 300) {
		begin(DNS_ANSWERS_MAX + n, 2);
		assert_int_equal(dns_answers_cut(message.data, message.n), expected.n);
		assert_memory_equal(message.data, expected.data, expected.n);
	}
}

/* A record that says what EDNS says, with a cookie. */
static void add_edns(void)
{
	struct dns_data cookie = {.n = 12, .data = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}};

	dns_record(&message, DNS_ADDITIONAL, "", DNS_OPT, 0, cookie);
}

/* Aliases, addresses, and what follows them. */
static void begin_addresses(unsigned n_aliases, unsigned n, unsigned type)
{
	dns_begin(&message, DNS_RESPONSE, "a.example", type);
	for (unsigned i = 0; i < n_aliases; i++) {
		dns_record(&message, DNS_ANSWER, "a.example", DNS_CNAME, 60, dns_name("b"));
	}
	for (unsigned i = 0; i < n; i++) {
		dns_record(&message, DNS_ANSWER, "b", type, i, dns_name("c"));
	}
}

static void check_addresses(unsigned type)
{
	static struct dns_message expected;

	begin_addresses(8, DNS_ANSWERS_ADDRESSES_MAX, type);
	dns_record(&message, DNS_AUTHORITY, "example", DNS_SOA, 60, dns_soa(60));
	add_edns();
	before = message;
	assert_int_equal(dns_answers_cut(message.data, message.n), before.n);
	assert_memory_equal(message.data, before.data, before.n);

	begin_addresses(8, DNS_ANSWERS_ADDRESSES_MAX, type);
	add_edns();
	expected = message;
	begin_addresses(8, DNS_ANSWERS_ADDRESSES_MAX + 1, type);
	dns_record(&message, DNS_AUTHORITY, "example", DNS_SOA, 60, dns_soa(60));
	dns_record(&message, DNS_ADDITIONAL, "b", DNS_AAAA, 60, dns_name("c"));
	add_edns();
	assert_int_equal(dns_answers_cut(message.data, message.n), expected.n);
	assert_memory_equal(message.data, expected.data, expected.n);
}

static void test_addresses(void **state)
{
	(void)state;
	check_addresses(DNS_A);
	check_addresses(DNS_AAAA);
}

/* A message over TCP may have thousands of records behind those that are left. */
static void test_edns_far_behind(void **state)
{
	size_t n_left;

	(void)state;
	begin(DNS_ANSWERS_MAX, 0);
	n_left = message.n;
	add_edns();
	size_t n_edns = message.n - n_left;

	for (unsigned n = DNS_ANSWERS_BEHIND_MAX - 1; n <= DNS_ANSWERS_BEHIND_MAX; n++) {
		begin(DNS_ANSWERS_MAX + n, 0);
		add_edns();
		size_t n_kept = n < DNS_ANSWERS_BEHIND_MAX ? n_edns : 0;

		assert_int_equal(dns_answers_cut(message.data, message.n), n_left + n_kept);
	}
}

/* What ends within the records that are left is no answer. */
static void test_malformed(void **state)
{
	size_t n_left;

	(void)state;
	begin(DNS_ANSWERS_MAX, 0);
	n_left = message.n;
	begin(DNS_ANSWERS_MAX + 1, 1);
	for (size_t n = DNS_HEADER; n <= before.n; n++) {
		/* A block of its own, so that a sanitizer sees what is read behind it. */
		unsigned char *bytes = malloc(n);

		assert_non_null(bytes);
		memcpy(bytes, before.data, n);
		assert_int_equal(dns_answers_cut(bytes, n), n < n_left ? 0 : n_left);
		free(bytes);
	}
	/* As many questions as can be claimed. */
	dns_put(message.data + 4, 2, 65535);
	assert_int_equal(dns_answers_cut(message.data, message.n), 0);
}

/* The rest of a message need not be there if it is cut off. */
static void test_begun(void **state)
{
	size_t n_left;

	(void)state;
	begin_addresses(8, DNS_ANSWERS_ADDRESSES_MAX, DNS_A);
	n_left = message.n;
	/* It has no more than it may. */
	assert_int_equal(dns_answers_cut_begun(message.data, message.n), 0);
	begin_addresses(8, DNS_ANSWERS_ADDRESSES_MAX + 1, DNS_A);
	before = message;
	for (size_t n = 0; n < before.n; n++) {
		message = before;
		size_t n_cut = dns_answers_cut_begun(message.data, n);

		assert_int_equal(n_cut, n < n_left ? 0 : n_left);
		if (n_cut == 0) {
			assert_memory_equal(message.data, before.data, before.n);
		} else {
			assert_int_equal(message.data[DNS_ANSWER + 1],
					 8 + DNS_ANSWERS_ADDRESSES_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left_alone), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_addresses),  cmocka_unit_test(test_edns_far_behind),
		cmocka_unit_test(test_malformed),  cmocka_unit_test(test_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
