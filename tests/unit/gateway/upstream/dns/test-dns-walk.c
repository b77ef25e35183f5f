/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "gateway/upstream/dns/walk.h"
#include "tests/unit/gateway/upstream/dns/dns-case.h"

/* The answer to a question for TXT records, as DNS servers write it: with EDNS, and names that are
 * compressed. */
static const unsigned char real[] = {
	0x9a, 0x3c, 0x81, 0xa0, 0, 1, 0, 2, 0, 0, 0, 1,
	/* question: example.com TXT IN */
	7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 16, 0, 1,
	/* answers */
	0xc0, 0x0c, 0, 16, 0, 1, 0, 1, 0x51, 0x80, 0, 12, 11, 'v', '=', 's', 'p', 'f', '1', ' ',
	'-', 'a', 'l', 'l', 0xc0, 0x0c, 0, 16, 0, 1, 0, 1, 0x51, 0x80, 0, 4, 3, 'a', 'b', 'c',
	/* OPT: the root's name, and 512 octets of a datagram */
	0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0};

static struct dns_message message;

/* Runs the walk to its end over a copy of its own, so that a sanitizer sees what is read behind it.
 * Returns the number of entries. */
static size_t walk_all(const unsigned char *bytes, size_t n, enum dns_walk_result *ret_result)
{
	unsigned char *copy = malloc(n ? n : 1);
	size_t n_entries = 0;
	struct dns_walk walk;
	struct dns_entry entry;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	dns_walk_begin(&walk, copy, n);
	const unsigned char *at = walk.at;

	while ((*ret_result = dns_walk_next(&walk, &entry)) == DNS_WALK_ENTRY) {
		assert_ptr_equal(entry.begin, at);
		assert_ptr_equal(entry.data + entry.n_data, entry.end);
		at = entry.end;
		n_entries++;
	}
	/* It stays so. */
	assert_int_equal(dns_walk_next(&walk, &entry), *ret_result);
	free(copy);
	return n_entries;
}

static void check_next(struct dns_walk *walk, enum dns_section section, unsigned type,
		       size_t n_data)
{
	struct dns_entry entry;

	assert_int_equal(dns_walk_next(walk, &entry), DNS_WALK_ENTRY);
	assert_int_equal(entry.section, section);
	assert_int_equal(entry.type, type);
	assert_int_equal(entry.n_data, n_data);
}

static void test_real(void **state)
{
	struct dns_walk walk;
	struct dns_entry entry;

	(void)state;
	dns_walk_begin(&walk, real, sizeof(real));
	check_next(&walk, DNS_SECTION_QUESTION, 16, 0);
	check_next(&walk, DNS_SECTION_ANSWER, 16, 12);
	check_next(&walk, DNS_SECTION_ANSWER, 16, 4);
	check_next(&walk, DNS_SECTION_ADDITIONAL, 41, 0);
	assert_int_equal(dns_walk_next(&walk, &entry), DNS_WALK_END);
	assert_ptr_equal(walk.at, real + sizeof(real));
}

static void test_all_sections(void **state)
{
	struct dns_walk walk;
	struct dns_entry entry;

	(void)state;
	dns_begin(&message, DNS_RESPONSE, "a.example", DNS_SRV);
	dns_record(&message, DNS_ANSWER, "a.example", DNS_CNAME, 1, dns_name("b"));
	dns_record(&message, DNS_ANSWER, "b", DNS_SRV, 1, dns_srv(1, 2, 3, "c"));
	dns_record(&message, DNS_AUTHORITY, "example", DNS_SOA, 60, dns_soa(60));
	dns_record(&message, DNS_ADDITIONAL, "c", DNS_AAAA, 60, dns_name("d"));
	dns_walk_begin(&walk, message.data, message.n);
	check_next(&walk, DNS_SECTION_QUESTION, DNS_SRV, 0);
	check_next(&walk, DNS_SECTION_ANSWER, DNS_CNAME, 3);
	check_next(&walk, DNS_SECTION_ANSWER, DNS_SRV, 9);
	check_next(&walk, DNS_SECTION_AUTHORITY, DNS_SOA, dns_soa(60).n);
	check_next(&walk, DNS_SECTION_ADDITIONAL, DNS_AAAA, 3);
	assert_int_equal(dns_walk_next(&walk, &entry), DNS_WALK_END);
}

/* Octets behind the last entry are not looked at. */
static void test_more_follows(void **state)
{
	unsigned char longer[sizeof(real) + 5] = {0};
	enum dns_walk_result result;

	(void)state;
	memcpy(longer, real, sizeof(real));
	assert_int_equal(walk_all(longer, sizeof(longer), &result), 4);
	assert_int_equal(result, DNS_WALK_END);
}

static void test_shortened(void **state)
{
	enum dns_walk_result result;

	(void)state;
	for (size_t n = 0; n < sizeof(real); n++) {
		assert_in_range(walk_all(real, n, &result), 0, 3);
		assert_int_equal(result, DNS_WALK_E_MALFORMED);
	}
	assert_int_equal(walk_all(real, sizeof(real), &result), 4);
	assert_int_equal(result, DNS_WALK_END);
}

/* Each octet replaced by each of some that lead astray: a length, a pointer, a reserved label. */
static void test_changed(void **state)
{
	static const unsigned char octets[] = {0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff};
	unsigned char changed[sizeof(real)];
	enum dns_walk_result result;

	(void)state;
	for (size_t i = 0; i < sizeof(real) * sizeof(octets); i++) {
		memcpy(changed, real, sizeof(real));
		changed[i / sizeof(octets)] = octets[i % sizeof(octets)];
		walk_all(changed, sizeof(changed), &result);
	}
	memcpy(changed, real, sizeof(real));
	changed[DNS_HEADER] = 0x40; /* labels of this kind do not exist */
	assert_int_equal(walk_all(changed, sizeof(changed), &result), 0);
	assert_int_equal(result, DNS_WALK_E_MALFORMED);
}

static void test_claims(void **state)
{
	unsigned char bytes[sizeof(real)];
	enum dns_walk_result result;

	(void)state;
	memcpy(bytes, real, sizeof(real));
	assert_int_equal(dns_walk_claimed(bytes, DNS_SECTION_ANSWER), 2);
	assert_int_equal(dns_walk_claimed(bytes, DNS_SECTION_ADDITIONAL), 1);
	/* As many as can be claimed. */
	for (enum dns_section i = 0; i < DNS_SECTION_COUNT; i++) {
		dns_walk_claim(bytes, i, 65535);
		assert_int_equal(dns_walk_claimed(bytes, i), 65535);
	}
	walk_all(bytes, sizeof(bytes), &result);
	assert_int_equal(result, DNS_WALK_E_MALFORMED);
	for (enum dns_section i = 0; i < DNS_SECTION_COUNT; i++) {
		dns_walk_claim(bytes, i, 0);
	}
	assert_int_equal(walk_all(bytes, DNS_HEADER, &result), 0);
	assert_int_equal(result, DNS_WALK_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),         cmocka_unit_test(test_all_sections),
		cmocka_unit_test(test_more_follows), cmocka_unit_test(test_shortened),
		cmocka_unit_test(test_changed),      cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
