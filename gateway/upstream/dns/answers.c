/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/answers.h"

#include "gateway/upstream/dns/walk.h"

size_t dns_answers_cut(unsigned char *message, size_t n)
{
	struct dns_walk walk;
	struct dns_entry entry = {0};
	size_t n_answers = 0;

	dns_walk_begin(&walk, message, n);
	if (!walk.at || dns_walk_claimed(message, DNS_SECTION_ANSWER) <= DNS_ANSWERS_MAX) {
		return n;
	}
	while (n_answers < DNS_ANSWERS_MAX) {
		if (dns_walk_next(&walk, &entry) != DNS_WALK_ENTRY) {
			return 0;
		}
		n_answers += entry.section == DNS_SECTION_ANSWER;
	}
	dns_walk_claim(message, DNS_SECTION_ANSWER, DNS_ANSWERS_MAX);
	dns_walk_claim(message, DNS_SECTION_AUTHORITY, 0);
	dns_walk_claim(message, DNS_SECTION_ADDITIONAL, 0);
	return (size_t)(entry.end - message);
}
