/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/answers.h"

#include <arpa/nameser.h>
#include <stdbool.h>
#include <string.h>

#include "gateway/upstream/dns/walk.h"

/* How a message is, or what there is of it. */
enum looked {
	SHORT,     /* it has no more records than it may, as far as it can be read */
	LONG,      /* it has more */
	MALFORMED, /* it ends before the last of those that are left */
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

/* Ends @message where @walk is, behind @n_answers answers. Returns its length. EDNS is kept: c-ares
 * 1.34 takes a datagram without the server's cookie (RFC 7873) for forged. */
static size_t cut(unsigned char *message, unsigned n_answers, struct dns_walk *walk)
{
	unsigned char *end = message + (walk->at - message);
	struct dns_entry entry;

	dns_walk_claim(message, DNS_SECTION_ANSWER, n_answers);
	dns_walk_claim(message, DNS_SECTION_AUTHORITY, 0);
	dns_walk_claim(message, DNS_SECTION_ADDITIONAL, 0);
	for (size_t i = 0;
	     i < DNS_ANSWERS_BEHIND_MAX && dns_walk_next(walk, &entry) == DNS_WALK_ENTRY; i++) {
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

/* Walks to the last of the records that are left. */
static enum looked look(const unsigned char *message, size_t n, struct dns_walk *walk,
			unsigned *ret_n_answers)
{
	unsigned n_claimed, n_answers = 0, n_addresses = 0;
	struct dns_entry entry;

	dns_walk_begin(walk, message, n);
	n_claimed = walk->at ? dns_walk_claimed(message, DNS_SECTION_ANSWER) : 0;
	if (n_claimed <= DNS_ANSWERS_ADDRESSES_MAX) {
		return SHORT;
	}
	do {
		if (dns_walk_next(walk, &entry) != DNS_WALK_ENTRY) {
			return n_claimed > DNS_ANSWERS_MAX ? MALFORMED : SHORT;
		}
		n_answers += entry.section == DNS_SECTION_ANSWER;
		n_addresses += is_address(&entry);
	} while (n_answers < n_claimed && n_answers < DNS_ANSWERS_MAX &&
		 n_addresses < DNS_ANSWERS_ADDRESSES_MAX);
	*ret_n_answers = n_answers;
	return n_answers < n_claimed ? LONG : SHORT;
}

size_t dns_answers_cut(unsigned char *message, size_t n)
{
	struct dns_walk walk;
	unsigned n_answers;

	switch (look(message, n, &walk, &n_answers)) {
	case LONG:
		return cut(message, n_answers, &walk);
	case MALFORMED:
		return 0;
	case SHORT:
		break;
	}
	return n;
}

size_t dns_answers_cut_begun(unsigned char *message, size_t n)
{
	struct dns_walk walk;
	unsigned n_answers;

	return look(message, n, &walk, &n_answers) == LONG ? cut(message, n_answers, &walk) : 0;
}
