/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where a server redirects its clients: the text of a <see-other-host/> stream error (RFC 6120,
 * 4.9.3.19). It is not trusted: it is parsed strictly, and whoever follows it must ask the policies
 * for addresses (public.h) and ports (ports.h).
 */
#include <stdbool.h>

#include "common/address.h"
#include "policy/domain.h"

struct redirect {
	char host[DOMAIN_MAX + 1]; /* ascii form; "" for an address */
	struct address address;    /* with the port */
	uint16_t port;             /* 0 if none is given */
};

/* Reads "host", "192.0.2.1" or "[2001:db8::1]", each with an optional ":port", ignoring white space
 * around it. Returns 0, -ENOMEM, or -EINVAL for anything else, including an IPv6 address without
 * brackets or with a zone, a host that is not a domain (domain.h), and a port outside of 1 to
 * 65535. */
_must_check_ int redirect_parse(struct sv text, struct redirect *ret_redirect);
