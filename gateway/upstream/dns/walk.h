/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Walks over a DNS message (RFC 1035, 4.1): its questions, then the records of its answer,
 * authority and additional sections, in the order of the message. An engine. Names are skipped, not
 * expanded: what a compression pointer leads to is not looked at.
 *
 * For checks of a whole message before a library reads it. They must cost little, whatever the
 * message holds. Each octet is passed once.
 *
 * entry  a question or a record
 */
#include <stddef.h>
#include <stdint.h>

enum dns_section {
	DNS_SECTION_QUESTION,
	DNS_SECTION_ANSWER,
	DNS_SECTION_AUTHORITY,
	DNS_SECTION_ADDITIONAL,
	DNS_SECTION_COUNT,
};

enum dns_walk_result {
	DNS_WALK_ENTRY,
	DNS_WALK_END,         /* as many entries as the header says; octets may follow */
	DNS_WALK_E_MALFORMED, /* the message ends before, or a name cannot be skipped */
};

struct dns_walk {
	const unsigned char *at, *end;
	enum dns_section section;
	unsigned n_left[DNS_SECTION_COUNT];
};

/* All pointers lead into the message. */
struct dns_entry {
	enum dns_section section;
	const unsigned char *begin; /* of its name */
	const unsigned char *end;   /* where the next entry begins */
	unsigned type;
	const unsigned char *data; /* what the record says; a question has none */
	size_t n_data;
};

/* The message must not go away before the walk ends. If it is shorter than a header, the walk says
 * that it is malformed. */
void dns_walk_begin(struct dns_walk *walk, const unsigned char *message, size_t n);

/* Goes to the next entry, and fills in @ret_entry if there is one. After the end, or after a
 * malformed entry, it returns the same again. */
enum dns_walk_result dns_walk_next(struct dns_walk *walk, struct dns_entry *ret_entry);

/* The number of entries of @section that @message, at least a header, claims to have. */
unsigned dns_walk_claimed(const unsigned char *message, enum dns_section section);

/* Changes that number. */
void dns_walk_claim(unsigned char *message, enum dns_section section, unsigned n);
