/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bounds the records of a DNS message before c-ares reads it. An engine.
 *
 * c-ares sorts all addresses of a reply (RFC 6724), with a socket for each, and looks for the end
 * of its list of records at each of them. A reply over TCP may have 4,000: that took 35 ms, and one
 * session may ask for two such replies for each of 16 servers. The sockets cost the most: with 64
 * addresses of each family, all addresses of a session took 24 ms, with 16 they take 13.
 */
#include <stddef.h>

#include "gateway/upstream/dns/reply.h"

enum {
	/* Records of the answer section. All that is made of them is less: 16 servers, 8 TLSA
	 * records, and the aliases before them. */
	DNS_ANSWERS_MAX = 64,
	/* A or AAAA records of the answer section: no more are used. */
	DNS_ANSWERS_ADDRESSES_MAX = RESOLVER_ADDRESSES_MAX,
	/* Records behind these among which that of EDNS is looked for. A datagram of 1,232 octets,
	 * as c-ares asks for, has fewer. The cookies of longer messages, which come over TCP, are
	 * not looked at. */
	DNS_ANSWERS_BEHIND_MAX = 128,
};

/* Cuts @message, of @n octets, behind the last of these records. What comes then goes as well, but
 * for the record of EDNS. Returns its length now: @n if it has no more of them, 0 if it has more
 * than DNS_ANSWERS_MAX and is malformed. */
size_t dns_answers_cut(unsigned char *message, size_t n);

/* The same for a message of which @n octets have arrived. Returns its length if all of these
 * records are there, so that the rest need not be read; else 0, and the message is as before. */
size_t dns_answers_cut_begun(unsigned char *message, size_t n);
