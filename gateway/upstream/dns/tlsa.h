/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * TLSA records (RFC 6698): statements in signed DNS about the certificate of a server.
 *
 * record  one statement: how it is used (usage), what part of the certificate it is about
 *         (selector), and its form (matching: the whole part or a digest)
 * set     the records for one port of one host. Made only from replies with AD=1, so it is as
 *         trustworthy as the resolver.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	/* Size of a record. A digest has up to 64 bytes, a public key some hundred. Whole
	 * certificates may be larger; RFC 7671 (10.1) advises against them. */
	TLSA_DATA_MAX = 1024,
	/* Records used of one set: each is compared with each certificate of the chain, so a
	 * hostile zone could make handshakes expensive. */
	TLSA_RECORDS_MAX = 8,
};

struct tlsa_record {
	uint8_t usage;
	uint8_t selector;
	uint8_t matching;
	uint16_t n_data;
	unsigned char data[TLSA_DATA_MAX];
};

struct tlsa_set {
	size_t n_records;
	struct tlsa_record records[TLSA_RECORDS_MAX];
};
