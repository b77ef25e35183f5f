/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bounds the records of a DNS message before c-ares reads it. An engine.
 *
 * c-ares sorts all addresses of a reply (RFC 6724), with a socket for each, and looks for the end
 * of its list of records at each of them. A reply over TCP may have 4,000: that took 35 ms, and one
 * session may ask for two such replies for each of 16 servers.
 */
#include <stddef.h>

enum {
	/* Records of the answer section. All that is made of them is less: 16 addresses, 16
	 * servers, 8 TLSA records, and the aliases before them. A datagram of 1,232 octets, which
	 * is not cut, has 76 at most. */
	DNS_ANSWERS_MAX = 64,
};

/* Cuts @message, of @n octets, behind the last of these records; the other sections go as well.
 * Returns its length now: @n if it has no more of them, 0 if it has to be cut and is malformed. */
size_t dns_answers_cut(unsigned char *message, size_t n);
