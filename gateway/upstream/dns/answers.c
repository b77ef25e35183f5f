/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/answers.h"

#include <arpa/nameser.h>
#include <stdbool.h>
#include <string.h>

#include "gateway/upstream/dns/walk.h"

enum {
	/* A datagram of 1,232 octets, as c-ares asks for, has fewer. The cookies of longer
	 * messages, which come over TCP, are not looked at. */
	DATAGRAM_RECORDS_MAX = 128,
};

static bool is_address(const struct dns_entry *entry)
{
	return entry->section == DNS_SECTION_ANSWER &&
	       (entry->type == ns_t_a || entry->type == ns_t_aaaa);
}

/* Whether @entry says what EDNS says about the message (RFC 6891, 6.1.1). */
static bool is_edns(const struct dns_entry *entry)
{
	return entry->section == DNS_SECTION_ADDITIONAL && entry->type == ns_t_opt &&
	       entry->begin[0] == '\0';
}

/* Ends @message at @end, with @n_answers answers; the rest of the walk is behind it. Returns its
 * length. EDNS is kept: c-ares 1.34 takes a datagram without the server's cookie (RFC 7873) for
 * forged. */
static size_t cut(unsigned char *message, unsigned char *end, unsigned n_answers,
		  struct dns_walk *walk)
{
	struct dns_entry entry;

	dns_walk_claim(message, DNS_SECTION_ANSWER, n_answers);
	dns_walk_claim(message, DNS_SECTION_AUTHORITY, 0);
	dns_walk_claim(message, DNS_SECTION_ADDITIONAL, 0);
	for (size_t i = 0;
	     i < DATAGRAM_RECORDS_MAX && dns_walk_next(walk, &entry) == DNS_WALK_ENTRY; i++) {
		if (is_edns(&entry)) {
			size_t n = (size_t)(entry.end - entry.begin);

			memmove(end, entry.begin, n);
			dns_walk_claim(message, DNS_SECTION_ADDITIONAL, 1);
			end += n;
			break;
		}
	}
	return (size_t)(end - message);
}

size_t dns_answers_cut(unsigned char *message, size_t n)
{
	unsigned n_claimed, n_answers = 0, n_addresses = 0;
	struct dns_walk walk;
	struct dns_entry entry;

	dns_walk_begin(&walk, message, n);
	if (!walk.at) {
		return n;
	}
	n_claimed = dns_walk_claimed(message, DNS_SECTION_ANSWER);
	if (n_claimed <= DNS_ANSWERS_ADDRESSES_MAX) {
		return n;
	}
	do {
		if (dns_walk_next(&walk, &entry) != DNS_WALK_ENTRY) {
			return n_claimed > DNS_ANSWERS_MAX ? 0 : n;
		}
		n_answers += entry.section == DNS_SECTION_ANSWER;
		n_addresses += is_address(&entry);
	} while (n_answers < n_claimed && n_answers < DNS_ANSWERS_MAX &&
		 n_addresses < DNS_ANSWERS_ADDRESSES_MAX);
	return n_answers == n_claimed
		     ? n
		     : cut(message, message + (entry.end - message), n_answers, &walk);
}
