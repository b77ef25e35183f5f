/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/names.h"

#include <arpa/nameser.h>

#include "gateway/upstream/dns/walk.h"

enum {
	SRV_FIXED = 6, /* octets before the host of an SRV record */
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
			at = message.begin + ((at[0] & ~(size_t)NS_CMPRSFLGS) << 8 | at[1]);
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

bool dns_names_are_short(const unsigned char *bytes, size_t n)
{
	const struct message message = {bytes, bytes + n};
	struct dns_walk walk;
	struct dns_entry entry;

	dns_walk_begin(&walk, bytes, n);
	while (dns_walk_next(&walk, &entry) == DNS_WALK_ENTRY) {
		if (entry.section != DNS_SECTION_QUESTION &&
		    (!is_short(message, entry.begin) ||
		     !is_data_short(message, entry.type, entry.data, entry.n_data))) {
			return false;
		}
	}
	return true;
}
