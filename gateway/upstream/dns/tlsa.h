/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * TLSA records (RFC 6698): what a domain's owner says in signed DNS about the certificate of one of its servers.
 *
 * record  one statement: how it is to be taken (usage), about what part of the certificate (selector), and in what form
 *         (matching: whole, or a digest)
 * set     the records of one port of one host. Whoever holds one may believe it as far as the resolver that gave it:
 *         it is only made from an answer with AD=1.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	/* Bytes of one record. A digest has 64 at most, a public key some hundred; a whole certificate may have
	 * more, and that form is advised against (RFC 7671, 10.1). */
	TLSA_DATA_MAX = 1024,
	/* Records of one set that are looked at: each is compared with each certificate of a chain, so that a
	 * hostile zone could make handshakes dear. */
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
