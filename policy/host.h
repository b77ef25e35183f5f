/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Host names, as they stand in the headers Host and Origin, and which of them are the gateway's
 * own.
 *
 * host       a name in A-labels, an IPv4 address, or an IPv6 address in brackets, in any case
 * authority  a host, and possibly ":" and a port (RFC 3986, 3.2)
 * pattern    a host, or "*.example.org", which matches every name below example.org, at any depth,
 *            but not example.org itself. Names are compared label by label, so evilexample.org is
 *            not below example.org
 * fixed      an address, localhost or a name below localhost: no DNS server of an attacker decides
 *            where it leads
 * own        the gateway's own page may have come from this host. A page may use the gateway that
 *            it came from. But anybody can point a name of theirs at the gateway's address after
 *            their page was loaded (DNS rebinding); then Origin and Host of its requests are equal,
 *            too. So a name has to be on the operator's list, and only fixed hosts need not be
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

enum {
	/* A domain name, or an IPv6 address in brackets. */
	HOST_LENGTH_MAX = 253,
};

struct host_pattern {
	char *name; /* owned; in lower case, without the "*." */
	bool is_wildcard;
};

struct host_list {
	struct host_pattern *patterns; /* owned */
	size_t n_patterns;
};

/* Splits @authority. *ret_port is 0 if there is none. Returns false if it is not an authority:
 * labels may be neither empty (so a final dot is refused) nor longer than 63 bytes, and consist of
 * letters, digits, "-" and "_"; ports are decimal numbers from 1 to 65535. */
bool host_split(struct sv authority, struct sv *ret_host, uint16_t *ret_port);

/* Reads a pattern. U-labels become A-labels, and IPv6 addresses get the form that browsers give
 * them. Returns 0, -ENOMEM, or -EINVAL when @text is not a pattern; "*" alone is not one, nor is an
 * IPv4-mapped IPv6 address in the form with dots. */
_must_check_ int host_pattern_init(struct host_pattern *pattern, struct sv text);
void host_pattern_deinit(struct host_pattern *pattern);

/* Whether @host, made by host_split(), matches. */
bool host_pattern_matches(const struct host_pattern *pattern, struct sv host);

/* Reads @n patterns. Returns 0, -ENOMEM, or -EINVAL; then *ret_bad is the index of the first text
 * that is not a pattern. */
_must_check_ int host_list_init(struct host_list *list, const char *const *texts, size_t n,
				size_t *ret_bad);
void host_list_deinit(struct host_list *list);

/* Whether @authority, the value of a Host header, is the gateway's own: fixed, or in the list. The
 * port does not count. */
bool host_list_owns(const struct host_list *list, struct sv authority);
