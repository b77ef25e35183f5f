/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/reply.h"

#include <arpa/nameser.h>
#include <assert.h>
#include <errno.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/sv.h"
#include "gateway/upstream/dns/names.h"
#include "gateway/upstream/dns/srv.h"
#include "gateway/upstream/dns/tlsa.h"

enum {
	SRV_FIXED = 6,  /* octets before the host of an SRV record */
	TLSA_FIXED = 3, /* octets before the data of a TLSA record */
	/* octets after the two names of an SOA record; the last four are MINIMUM */
	SOA_NUMBERS = 20,
	SOA_MINIMUM = 16,
};

/* A message while it is read. */
struct reading {
	ns_msg message;
	enum dns_kind kind;
	char name[NS_MAXDNAME]; /* the name asked for, or the name that it is an alias of */
	uint32_t ttl_s;         /* the lowest so far */
	bool is_seen;           /* there is a record of the kind, usable or not */
	bool is_broken;         /* a record cannot be read; nor can those after it */
	union {
		struct srv_set srv;
		struct tlsa_set tlsa;
	};
};

static const size_t record_sizes[DNS_KIND_COUNT] = {
	[DNS_KIND_SRV] = sizeof(struct srv_target),
	[DNS_KIND_TLSA] = sizeof(struct tlsa_record),
	[DNS_KIND_ADDRESSES] = sizeof(struct address),
};

int dns_reply_new(enum dns_kind kind, enum resolver_result result, uint32_t ttl_s,
		  const void *records, size_t n_records, struct dns_reply **ret_reply)
{
	size_t n_bytes = n_records * record_sizes[kind];
	struct dns_reply *reply = malloc(sizeof(*reply) + n_bytes);

	assert(n_records == 0 || result == RESOLVER_OK);
	if (!reply) {
		return -ENOMEM;
	}
	*reply = (struct dns_reply){
		.n_refs = 1,
		.result = result,
		.ttl_s = ttl_s,
		.n_bytes = sizeof(*reply) + n_bytes,
		.n_records = n_records,
	};
	if (n_records) {
		/* The records follow the reply. The size of the struct keeps them aligned. */
		reply->records = memcpy(reply + 1, records, n_bytes);
	}
	*ret_reply = reply;
	return 0;
}

struct dns_reply *dns_reply_ref(struct dns_reply *reply)
{
	reply->n_refs++;
	return reply;
}

struct dns_reply *dns_reply_unref(struct dns_reply *reply)
{
	if (reply && --reply->n_refs == 0) {
		free(reply);
	}
	return NULL;
}

/* RFC 2181, 8: with the highest bit set, the TTL counts as 0. */
static void reading_note_ttl(struct reading *reading, unsigned long ttl_s)
{
	uint32_t sane = ttl_s > INT32_MAX ? 0 : (uint32_t)ttl_s;

	if (sane < reading->ttl_s) {
		reading->ttl_s = sane;
	}
}

/* Reads record @index of @section. Returns false if there is none or it cannot be read. */
static bool reading_record(struct reading *reading, ns_sect section, int index, ns_rr *ret_record)
{
	if (index >= DNS_REPLY_RECORDS_MAX || index >= ns_msg_count(reading->message, section)) {
		return false;
	}
	if (ns_parserr(&reading->message, section, index, ret_record) < 0) {
		reading->is_broken = true;
		return false;
	}
	return true;
}

static bool reading_concerns(const struct reading *reading, const ns_rr *record, ns_type type)
{
	return ns_rr_type(*record) == type && ns_rr_class(*record) == ns_c_in &&
	       sv_eq_nocase(sv_from(ns_rr_name(*record)), sv_from(reading->name));
}

/* Reads the name at offset @at, which must be the last part of @record. Returns false if it is
 * malformed. */
static bool reading_name(struct reading *reading, const ns_rr *record, size_t at,
			 char ret_name[NS_MAXDNAME])
{
	const unsigned char *data = ns_rr_rdata(*record);
	int n = dn_expand(ns_msg_base(reading->message), data + ns_rr_rdlen(*record), data + at,
			  ret_name, NS_MAXDNAME);

	return n > 0 && at + (size_t)n == ns_rr_rdlen(*record);
}

/* Follows an alias. Returns false if the name has none. */
static bool reading_follow(struct reading *reading)
{
	char name[NS_MAXDNAME];
	ns_rr record;

	for (int i = 0; reading_record(reading, ns_s_an, i, &record); i++) {
		if (reading_concerns(reading, &record, ns_t_cname) &&
		    reading_name(reading, &record, 0, name)) {
			reading_note_ttl(reading, ns_rr_ttl(record));
			memcpy(reading->name, name, sizeof(name));
			return true;
		}
	}
	return false;
}

static void reading_add_srv(struct reading *reading, const ns_rr *record)
{
	const unsigned char *data = ns_rr_rdata(*record);
	char host[NS_MAXDNAME];

	if (ns_rr_rdlen(*record) > SRV_FIXED && reading_name(reading, record, SRV_FIXED, host)) {
		srv_set_add(&reading->srv, host, (uint16_t)ns_get16(data),
			    (uint16_t)ns_get16(data + 2), (uint16_t)ns_get16(data + 4));
	}
}

static void reading_add_tlsa(struct reading *reading, const ns_rr *record)
{
	const unsigned char *data = ns_rr_rdata(*record);
	size_t n = ns_rr_rdlen(*record);
	struct tlsa_set *set = &reading->tlsa;

	if (n <= TLSA_FIXED || n - TLSA_FIXED > TLSA_DATA_MAX ||
	    set->n_records == TLSA_RECORDS_MAX) {
		return;
	}
	struct tlsa_record *added = &set->records[set->n_records++];

	added->usage = data[0];
	added->selector = data[1];
	added->matching = data[2];
	added->n_data = (uint16_t)(n - TLSA_FIXED);
	memcpy(added->data, data + TLSA_FIXED, added->n_data);
}

static void reading_add(struct reading *reading)
{
	ns_type type = reading->kind == DNS_KIND_SRV ? ns_t_srv : ns_t_tlsa;
	ns_rr record;

	for (int i = 0; reading_record(reading, ns_s_an, i, &record); i++) {
		if (!reading_concerns(reading, &record, type)) {
			continue;
		}
		reading->is_seen = true;
		reading_note_ttl(reading, ns_rr_ttl(record));
		if (reading->kind == DNS_KIND_SRV) {
			reading_add_srv(reading, &record);
		} else {
			reading_add_tlsa(reading, &record);
		}
	}
}

/* Notes how long a negative answer is valid (RFC 2308, 5): the TTL of the SOA record or its
 * MINIMUM, whichever is lower. */
static void reading_note_negative(struct reading *reading)
{
	ns_rr record;

	for (int i = 0; reading_record(reading, ns_s_ns, i, &record); i++) {
		const unsigned char *numbers = ns_rr_rdata(record);
		const unsigned char *end = numbers + ns_rr_rdlen(record);

		if (ns_rr_type(record) == ns_t_soa && ns_name_skip(&numbers, end) == 0 &&
		    ns_name_skip(&numbers, end) == 0 && end - numbers == SOA_NUMBERS) {
			reading_note_ttl(reading, ns_rr_ttl(record));
			reading_note_ttl(reading, ns_get32(numbers + SOA_MINIMUM));
			return;
		}
	}
	reading->ttl_s = 0;
}

static size_t reading_count(const struct reading *reading)
{
	return reading->kind == DNS_KIND_SRV ? reading->srv.n_targets : reading->tlsa.n_records;
}

/* The result of a message whose sections are well-formed. */
static enum resolver_result reading_finish(struct reading *reading)
{
	int code = ns_msg_getflag(reading->message, ns_f_rcode);

	if (!ns_msg_getflag(reading->message, ns_f_qr) ||
	    (code != ns_r_noerror && code != ns_r_nxdomain)) {
		return RESOLVER_FAILED;
	}
	for (int i = 0; i < DNS_REPLY_ALIASES_MAX && reading_follow(reading); i++) {
	}
	reading_add(reading);
	if (reading_count(reading)) {
		return RESOLVER_OK;
	}
	if (reading->is_broken) {
		return RESOLVER_FAILED;
	}
	if (reading->is_seen) {
		/* RFC 6698, 4.1: unusable TLSA records count as none. */
		return reading->kind == DNS_KIND_TLSA ? RESOLVER_NO_NAME : RESOLVER_FAILED;
	}
	reading_note_negative(reading);
	return RESOLVER_NO_NAME;
}

int dns_reply_read(enum dns_kind kind, const char *name, const unsigned char *message,
		   size_t n_message, struct dns_reply **ret_reply)
{
	struct reading reading = {.kind = kind, .ttl_s = INT32_MAX};
	enum resolver_result result = RESOLVER_FAILED;

	memcpy(reading.name, name, strnlen(name, sizeof(reading.name) - 1));
	if (n_message <= NS_MAXMSG && dns_names_are_short(message, n_message) &&
	    ns_initparse(message, (int)n_message, &reading.message) == 0) {
		result = reading_finish(&reading);
	}
	if (result == RESOLVER_FAILED) {
		return dns_reply_new(kind, result, 0, NULL, 0, ret_reply);
	}
	const void *records = kind == DNS_KIND_SRV ? (const void *)reading.srv.targets
						   : (const void *)reading.tlsa.records;
	int r = dns_reply_new(kind, result, reading.ttl_s, records, reading_count(&reading),
			      ret_reply);

	if (r == 0) {
		(*ret_reply)->is_authentic = ns_msg_getflag(reading.message, ns_f_ad);
	}
	return r;
}
