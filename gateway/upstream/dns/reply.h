/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the DNS said to one question, taken out of its message (RFC 1035). An engine. glibc's ns_parserr() reads the
 * message: the parsers of c-ares 1.18 keep the TTL of an SRV record to themselves, and know no TLSA record.
 *
 * kind       what is asked for
 * answer     records of that kind, or why there are none; and for how long that holds. It never changes, and has
 *            two sorts of owner: the cache, and each query that it was given to. The last to let go frees it. For
 *            one thread.
 * authentic  the DNS server says that it has checked the answer's signatures (AD=1, RFC 4035). Worth what the way
 *            to that server is worth.
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
	DNS_KIND_ADDRESSES, /* A and AAAA together; never read from a message here */
	DNS_KIND_COUNT,
};

enum resolver_result {
	RESOLVER_OK,
	RESOLVER_NO_NAME,  /* NXDOMAIN, or no record of the kind */
	RESOLVER_TIMEOUT,
	RESOLVER_FAILED,   /* SERVFAIL, malformed answer, no server reachable, out of memory */
};

enum {
	/* Addresses of one target that are looked at: a hostile zone must not make one session dial a net. */
	RESOLVER_ADDRESSES_MAX = 16,
	/* Aliases that are followed from the name that was asked for: a zone can make a ring of them. */
	DNS_REPLY_ALIASES_MAX = 8,
	/* Records of a message that are looked at, each once for an alias: one of 64 KB has room for thousands. */
	DNS_REPLY_RECORDS_MAX = 256,
};

struct dns_reply {
	unsigned n_refs;
	enum resolver_result result;
	bool authentic;
	uint32_t ttl_s;   /* the least of all records that led to it; of a negative answer by RFC 2308; 0: unknown */
	size_t n_bytes;   /* that it takes in memory */
	size_t n_records; /* none unless RESOLVER_OK */
	union {
		const struct srv_target *targets;
		const struct tlsa_record *tlsa;
		const struct address *addresses; /* without a port */
		const void *records;
	};
};

/* Makes one with @n_records copied from @records, an array of what @kind has. Returns 0 or -ENOMEM. */
_must_check_ int dns_reply_new(enum dns_kind kind, enum resolver_result result, uint32_t ttl_s, const void *records,
			    size_t n_records, struct dns_reply **ret_reply);

/* Reads @message, an answer to a question for @kind at @name. Aliases are followed inside the message, in whatever
 * order it has them; records of other names, kinds and classes do not matter. What is malformed, or holds SRV
 * records but none that can be used, is an answer with RESOLVER_FAILED; TLSA records of which none can be used are
 * none (RFC 6698, 4.1). Returns 0 or -ENOMEM. */
_must_check_ int dns_reply_read(enum dns_kind kind, const char *name, const unsigned char *message, size_t n_message,
			     struct dns_reply **ret_reply);

struct dns_reply *dns_reply_ref(struct dns_reply *reply);

/* NULL is fine. Returns NULL. */
struct dns_reply *dns_reply_unref(struct dns_reply *reply);

DEFINE_CLEANUP(struct dns_reply *, dns_reply_unref);
