/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The names of XMPP domains and of their servers: checked, and converted to the forms in which they
 * are used. The operator's rules about domains are in domain-rules.h.
 *
 * domain   what the client wants to reach: the 'to' of its first request
 * ascii    the domain with A-labels, in lower case, without a final dot; used for DNS, SNI,
 *          certificates and rules
 * unicode  the domain with U-labels, as in addresses (RFC 7622, 3.2); used in the stream header
 * host     a name that only the operator may write: a domain, an address, or a name that a client
 *          cannot reach without a rule for it, such as one of a single label
 * pattern  "*.example.org" stands for every name below example.org, at any depth, but not for
 *          example.org itself. "*" stands for every name. Names are compared label by label, so
 *          evilexample.org is not below example.org.
 */
#include <stdbool.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	DOMAIN_MAX = 255,          /* RFC 1035; the text has at most 253 characters */
	DOMAIN_UNICODE_MAX = 1023, /* RFC 7622, 3.2 */
};

/* Converts @text to its ascii form (UTS 46, by libidn2). Refused are address literals and names
 * that the C library takes for one (the last label is a number), ports, names of one label other
 * than "localhost", labels that are empty, too long or begin or end with a hyphen, and names that
 * contain anything but letters, digits, hyphens and dots after the conversion. So no unchecked text
 * from a client reaches the DNS or a stream header. Returns 0, -ENOMEM, or -EINVAL when @text is
 * not such a domain. */
_must_check_ int domain_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1]);

/* Like domain_to_ascii(), for a name that the operator writes or has written: also names of one
 * label ("chat"), labels with underscores, and addresses ("192.0.2.1", "[2001:db8::1]"). */
_must_check_ int domain_host_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1]);

/* Whether @ascii, made by domain_host_to_ascii(), is an address. */
bool domain_is_address(const char *ascii);

/* Converts @ascii, made by domain_to_ascii(), to its unicode form. If there is none that converts
 * back to @ascii, the result is @ascii. Returns 0 or -ENOMEM. */
_must_check_ int domain_to_unicode(const char *ascii,
				   char ret_unicode[static DOMAIN_UNICODE_MAX + 1]);

/* Reads a host or a pattern. Of a pattern, *ret_name is what follows "*."; of "*" it is empty.
 * After "*." a single label is allowed ("*.test"). Returns 0, -ENOMEM, or -EINVAL when @text is
 * neither. */
_must_check_ int domain_pattern_parse(struct sv text, char ret_name[static DOMAIN_MAX + 1],
				      bool *ret_is_pattern);
