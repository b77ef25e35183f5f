/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where a server sends its clients: the text of a <see-other-host/> stream error (RFC 6120, 4.9.3.19). It is a stranger's
 * word, so it is read strictly, and who follows it asks the policies for addresses (public.h) and ports (ports.h).
 */
#include <stdbool.h>

#include "common/address.h"
#include "policy/domain.h"

struct redirect {
	char host[DOMAIN_MAX + 1]; /* ascii form; "" when an address was named */
	struct address address;    /* with the port below */
	uint16_t port;             /* 0 when none was named */
};

/* Reads "host", "192.0.2.1" or "[2001:db8::1]", each with or without ":port", white space around it left out. Refused: an
 * IPv6 address without brackets, a zone, a host that is no domain (domain.h), a port out of 1 to 65535, all else.
 * Returns 0, -EINVAL, -ENOMEM. */
_must_check_ int redirect_parse(struct sv text, struct redirect *ret_redirect);
