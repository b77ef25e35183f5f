/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/walk.h"

#include <arpa/nameser.h>
#include <resolv.h>

enum {
	/* The number of questions in the header; those of the other sections follow. */
	COUNTS_AT = 4,
};

unsigned dns_walk_claimed(const unsigned char *message, enum dns_section section)
{
	return ns_get16(message + COUNTS_AT + (size_t)NS_INT16SZ * section);
}

void dns_walk_claim(unsigned char *message, enum dns_section section, unsigned n)
{
	ns_put16(n, message + COUNTS_AT + (size_t)NS_INT16SZ * section);
}

void dns_walk_begin(struct dns_walk *walk, const unsigned char *message, size_t n)
{
	*walk = (struct dns_walk){.end = message + n};
	if (n < NS_HFIXEDSZ) {
		return;
	}
	walk->at = message + NS_HFIXEDSZ;
	for (enum dns_section i = 0; i < DNS_SECTION_COUNT; i++) {
		walk->n_left[i] = dns_walk_claimed(message, i);
	}
}

/* Behind the name and the fixed octets of an entry; NULL if the message ends before. */
static const unsigned char *skip_fixed(const struct dns_walk *walk, size_t n_fixed)
{
	int n_name = dn_skipname(walk->at, walk->end);

	return n_name < 0 || (size_t)(walk->end - walk->at) < (size_t)n_name + n_fixed
		     ? NULL
		     : walk->at + n_name + n_fixed;
}

enum dns_walk_result dns_walk_next(struct dns_walk *walk, struct dns_entry *ret_entry)
{
	while (walk->section < DNS_SECTION_COUNT && walk->n_left[walk->section] == 0) {
		walk->section++;
	}
	if (!walk->at) {
		return DNS_WALK_E_MALFORMED;
	}
	if (walk->section == DNS_SECTION_COUNT) {
		return DNS_WALK_END;
	}
	size_t n_fixed = walk->section == DNS_SECTION_QUESTION ? NS_QFIXEDSZ : NS_RRFIXEDSZ;
	const unsigned char *begin = walk->at, *data = skip_fixed(walk, n_fixed);
	size_t n_data = data && n_fixed == NS_RRFIXEDSZ ? (size_t)ns_get16(data - NS_INT16SZ) : 0;

	if (!data || (size_t)(walk->end - data) < n_data) {
		walk->at = NULL;
		return DNS_WALK_E_MALFORMED;
	}
	walk->n_left[walk->section]--;
	walk->at = data + n_data;
	*ret_entry = (struct dns_entry){
		.section = walk->section,
		.begin = begin,
		.end = walk->at,
		.type = ns_get16(data - n_fixed),
		.data = data,
		.n_data = n_data,
	};
	return DNS_WALK_ENTRY;
}
