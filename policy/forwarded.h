/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The real client, as the operator's own proxies tell it in the head of a request: its address, and
 * whether it uses TLS. An engine.
 *
 * hop    one connection on the way from the client to the gateway. The proxy at its end writes down
 *        who began it and by which scheme, to the right of what is there already
 * chain  the hops, the last one at the right. It is read from there: what stands left of the first
 *        address that is no trusted proxy may be the client's invention
 *
 * Two notations exist, and the operator says which one the proxies write (enum forwarded_notation).
 * The other one is ignored: a proxy that does not know it passes on what the client has made up.
 */
#include "policy/networks.h"

/* clang-format off */
#define FORWARDED_NOTATIONS(X)                                                 \
	X(X, "x-forwarded")     /* X-Forwarded-For and X-Forwarded-Proto */    \
	X(RFC7239, "forwarded") /* Forwarded */
/* clang-format on */

enum forwarded_notation {
#define X(id, name) FORWARDED_##id,
	FORWARDED_NOTATIONS(X)
#undef X
};

/* The values of the headers, several lines joined with commas; empty where there is none. */
struct forwarded_headers {
	struct sv x_for, x_proto, forwarded;
};

struct forwarded_client {
	struct address address; /* port 0 if it is not the peer's own */
	bool is_secure;         /* it uses TLS */
	bool is_ignored;        /* the peer is no trusted proxy and sent such headers */
};

/* The client behind @peer. If the chain ends with a trusted proxy, or at something that is not an
 * address ("unknown", "_hidden"), the address is that of the last proxy found. The scheme is that
 * of the hop that the client began; a single X-Forwarded-Proto counts for each of several hops,
 * because proxies overwrite it. */
struct forwarded_client forwarded_client(const struct networks *proxies,
					 enum forwarded_notation notation,
					 const struct address *peer,
					 const struct forwarded_headers *headers);
