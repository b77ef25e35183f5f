/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where a BOSH client says that its server is: `route` (XEP-0124, "Session Creation Request"). Such a
 * word may not choose whom the gateway calls: an operator lists the places that may be named, and any
 * other one is refused.
 *
 * A client that names nothing but the default is not refused. gloox, XMPPHP and others always send
 * "xmpp:DOMAIN:5222" with the domain of their `to`. Such a route is ignored, and the server is found
 * as it is without one: by the domain's rule and the DNS. So it opens nothing that `to` alone does not.
 * Another port of the same host is another place, also where some server of the domain listens on it.
 *
 * route    "xmpp:host:port"
 * default  a route whose host is the domain that the client wants to reach (both in ascii form, so that
 *          case, a final dot and the form of an IDN make no difference) and whose port is 5222, 0, empty
 *          or not there. An address is never a default: no domain is one.
 */
#include <stddef.h>

#include "policy/redirect.h"

enum {
	/* The port that a client means when it only wants to name the domain (RFC 6120, 14.7). */
	ROUTE_PORT_DEFAULT = 5222,
};

struct routes {
	struct redirect *list; /* owned */
	size_t n;
};

enum route_result {
	ROUTE_LISTED,      /* the operator allows it: the place is to be called */
	ROUTE_DEFAULT,     /* it says what `to` says: it is to be ignored */
	ROUTE_E_MALFORMED, /* it is not a route */
	ROUTE_E_REFUSED,   /* it names some other place */
};

/* From texts as in "host:port". Returns 0, -ENOMEM, or -EINVAL with *ret_bad the index of the first text that is no such. */
_must_check_ int routes_init(struct routes *routes, const char *const *texts, size_t n, size_t *ret_bad);
void routes_deinit(struct routes *routes);

/* Judges @text, the route of a client that wants to reach @domain (in ascii form). Returns a
 * ROUTE_..., or -ENOMEM. The place is set for ROUTE_LISTED; the policies for addresses and ports still
 * have to be asked about it. */
_must_check_ int routes_find(const struct routes *routes, struct sv text, const char *domain,
			     struct redirect *ret_destination);
