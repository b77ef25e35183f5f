/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/names.h"

#include <arpa/nameser.h>
#include <resolv.h>

enum {
	/* Type, class, TTL and length of a record. */
	RECORD_FIXED = NS_RRFIXEDSZ,
	SRV_FIXED = 6,
	/* The number of questions; those of the three other sections follow. */
	COUNTS_AT = 4,
	SECTIONS = 4,
};

struct message {
	const unsigned char *begin, *end;
};

/* Ends where the name ends or cannot be expanded: it is too long, or leaves the message. */
static bool is_short(struct message message, const unsigned char *at)
{
	size_t n_pointers = 0, n_labels = 0;

	while (at < message.end && *at && n_labels <= NS_MAXCDNAME) {
		if ((*at & NS_CMPRSFLGS) != NS_CMPRSFLGS) {
			n_labels += 1 + (size_t)*at;
			at += 1 + *at;
		} else if (message.end - at < 2) {
			break;
		} else if (++n_pointers > DNS_NAME_POINTERS_MAX) {
			return false;
		} else {
			at = message.begin + (((size_t)at[0] & ~NS_CMPRSFLGS) << 8 | at[1]);
		}
	}
	return true;
}

/* @data: @n bytes of a record of @type. */
static bool is_data_short(struct message message, unsigned type, const unsigned char *data,
			  size_t n)
{
	size_t n_before = type == ns_t_srv ? SRV_FIXED : 0;

	return (type != ns_t_srv && type != ns_t_cname) || n < n_before ||
	       is_short(message, data + n_before);
}

/* Looks at the record at *@at, and puts *@at behind it, or at the end if it is not whole. */
static bool is_record_short(struct message message, const unsigned char **at)
{
	const unsigned char *begin = *at, *fixed;
	int n_name = dn_skipname(begin, message.end);

	*at = message.end;
	if (n_name < 0 || message.end - begin < n_name + RECORD_FIXED) {
		return true;
	}
	fixed = begin + n_name;
	size_t n_data = ns_get16(fixed + RECORD_FIXED - NS_INT16SZ);

	if (n_data > (size_t)(message.end - fixed) - RECORD_FIXED) {
		return true;
	}
	*at = fixed + RECORD_FIXED + n_data;
	return is_short(message, begin) &&
	       is_data_short(message, ns_get16(fixed), fixed + RECORD_FIXED, n_data);
}

bool dns_names_are_short(const unsigned char *bytes, size_t n)
{
	const struct message message = {bytes, bytes + n};
	const unsigned char *at = bytes + NS_HFIXEDSZ;
	size_t n_records = 0;

	if (n < NS_HFIXEDSZ) {
		return true;
	}
	for (size_t i = 1; i < SECTIONS; i++) {
		n_records += ns_get16(bytes + COUNTS_AT + NS_INT16SZ * i);
	}
	for (unsigned i = ns_get16(bytes + COUNTS_AT); i > 0 && at < message.end; i--) {
		int n_name = dn_skipname(at, message.end);

		at = n_name < 0 || message.end - at < n_name + NS_QFIXEDSZ
			   ? message.end
			   : at + n_name + NS_QFIXEDSZ;
	}
	for (; n_records > 0 && at < message.end; n_records--) {
		if (!is_record_short(message, &at)) {
			return false;
		}
	}
	return true;
}
