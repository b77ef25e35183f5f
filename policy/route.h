/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The `route` of a BOSH client (XEP-0124, "Session Creation Request"): where it says that its
 * server is. A client must not choose where the gateway connects to, so the operator lists the
 * destinations that may be named, and others are refused.
 *
 * Naming the default is allowed: gloox, XMPPHP and others always send "xmpp:DOMAIN:5222" with the
 * domain of their `to`. Such a route is ignored, and the server is found by the domain's rule and
 * the DNS as usual, so it permits nothing that `to` alone does not. Another port of the same host
 * is a different destination, even if a server of the domain listens there.
 *
 * route    "xmpp:host:port"
 * default  a route whose host is the domain that the client wants to reach (both in ascii form, so
 *          case, a final dot and the form of an IDN do not matter), and whose port is 5222, 0,
 *          empty or missing. An address is one only where the domain is that very address.
 */
#include <stddef.h>

#include "policy/redirect.h"

enum {
	/* The port that clients give when they only want to name the domain (RFC 6120, 14.7). */
	ROUTE_PORT_DEFAULT = 5222,
};

struct routes {
	struct redirect *list; /* owned */
	size_t n;
};

enum route_result {
	ROUTE_LISTED,      /* allowed by the operator: connect there */
	ROUTE_DEFAULT,     /* names the domain itself: ignore it */
	ROUTE_E_MALFORMED, /* not a route */
	ROUTE_E_REFUSED,   /* another destination */
};

/* Reads @texts of the form "host:port". Returns 0, -ENOMEM, or -EINVAL, then *ret_bad is the index
 * of the first text that is malformed. */
_must_check_ int routes_init(struct routes *routes, const char *const *texts, size_t n,
			     size_t *ret_bad);
void routes_deinit(struct routes *routes);

/* Judges @text, the route of a client that wants to reach @domain (ascii form). Returns a
 * ROUTE_..., or -ENOMEM. *ret_destination is set for ROUTE_LISTED; the policies for addresses and
 * ports still apply to it. */
_must_check_ int routes_find(const struct routes *routes, struct sv text, const char *domain,
			     struct redirect *ret_destination);
