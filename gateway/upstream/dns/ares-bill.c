/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/ares-bill.h"

#include <arpa/nameser.h>

#include "gateway/upstream/dns/walk.h"

static enum dns_kind kind_of(unsigned type)
{
	switch (type) {
	case ns_t_srv:
		return DNS_KIND_SRV;
	case ns_t_tlsa:
		return DNS_KIND_TLSA;
	case ns_t_a:
	case ns_t_aaaa:
		return DNS_KIND_ADDRESSES;
	default:
		return DNS_KIND_COUNT;
	}
}

/* The question comes first, so its name cannot point to an earlier name. */
static uint32_t crowd_of(const struct ares_bill *bill, const unsigned char *message, size_t n)
{
	char name[NS_MAXDNAME];
	struct dns_walk walk;
	struct dns_entry entry;

	dns_walk_begin(&walk, message, n);
	if (dns_walk_next(&walk, &entry) != DNS_WALK_ENTRY ||
	    entry.section != DNS_SECTION_QUESTION || kind_of(entry.type) == DNS_KIND_COUNT ||
	    ns_name_ntop(entry.begin, name, sizeof(name)) < 0) {
		return TURN_NO_CROWD;
	}
	return bill->crowd_of(bill->userdata, kind_of(entry.type), name);
}

void ares_bill_begin(struct ares_bill *bill)
{
	if (bill->turn) {
		turn_begin(bill->turn);
		bill->crowd = TURN_NO_CROWD;
		bill->is_open = true;
	}
}

void ares_bill_charge(struct ares_bill *bill, uint32_t crowd)
{
	if (!bill->is_open) {
		return;
	}
	if (crowd == TURN_NO_CROWD) {
		turn_begin(bill->turn);
	} else {
		turn_end(bill->turn, crowd);
	}
}

void ares_bill_message(struct ares_bill *bill, const unsigned char *message, size_t n)
{
	if (bill->is_open) {
		ares_bill_charge(bill, bill->crowd);
		bill->crowd = crowd_of(bill, message, n);
	}
}

void ares_bill_end(struct ares_bill *bill)
{
	ares_bill_charge(bill, bill->crowd);
	bill->is_open = false;
}
