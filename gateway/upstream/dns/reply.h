/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The reply to one DNS question, read from its message (RFC 1035). An engine. glibc's ns_parserr()
 * reads the messages, because the parsers of c-ares 1.18 do not give the TTL of SRV records and do
 * not know TLSA records.
 *
 * kind       what was asked for
 * reply      the records of that kind, or why there are none, and how long this is valid. Never
 *            changes. The cache and the queries that it was given to hold references. For one
 *            thread.
 * authentic  the DNS server says that it has validated the signatures (AD=1, RFC 4035). To be
 *            trusted as far as the connection to that server is.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct address;
struct srv_target;
struct tlsa_record;

enum dns_kind {
	DNS_KIND_SRV,
	DNS_KIND_TLSA,
	DNS_KIND_ADDRESSES, /* A and AAAA together; not read from a message here */
	DNS_KIND_COUNT,
};

enum resolver_result {
	RESOLVER_OK,
	RESOLVER_NO_NAME, /* NXDOMAIN, or no record of this kind */
	RESOLVER_TIMEOUT,
	RESOLVER_FAILED, /* SERVFAIL, malformed message, no server reachable, or out of memory */
};

enum {
	/* Addresses taken of one target: a hostile zone must not make a session dial a whole
	 * network. */
	RESOLVER_ADDRESSES_MAX = 16,
	/* Aliases followed from the name asked for: a zone can link them into a ring. */
	DNS_REPLY_ALIASES_MAX = 8,
	/* Records examined in a message, once for each alias: a message of 64 KB has room for
	 * thousands. */
	DNS_REPLY_RECORDS_MAX = 256,
};

struct dns_reply {
	unsigned n_refs;
	enum resolver_result result;
	bool is_authentic;
	/* lowest TTL of all records used, for a negative reply by RFC 2308; 0: unknown */
	uint32_t ttl_s;
	size_t n_bytes;   /* memory that the reply takes */
	size_t n_records; /* 0 unless RESOLVER_OK */
	union {
		const struct srv_target *targets;
		const struct tlsa_record *tlsa;
		const struct address *addresses; /* without a port */
		const void *records;
	};
};

/* Makes a reply with copies of @n_records records, an array of the type that belongs to @kind.
 * Returns 0 or -ENOMEM. */
_must_check_ int dns_reply_new(enum dns_kind kind, enum resolver_result result, uint32_t ttl_s,
			       const void *records, size_t n_records, struct dns_reply **ret_reply);

/* Reads @message, the answer to a question for @kind at @name. Follows aliases within the message,
 * in any order of records; ignores records of other names, kinds and classes. A malformed message,
 * or one whose SRV records are all unusable, gives a reply with RESOLVER_FAILED. Unusable TLSA
 * records count as none (RFC 6698, 4.1). Returns 0 or -ENOMEM. */
_must_check_ int dns_reply_read(enum dns_kind kind, const char *name, const unsigned char *message,
				size_t n_message, struct dns_reply **ret_reply);

struct dns_reply *dns_reply_ref(struct dns_reply *reply);

/* Takes NULL; returns NULL. */
struct dns_reply *dns_reply_unref(struct dns_reply *reply);

DEFINE_CLEANUP(struct dns_reply *, dns_reply_unref);
