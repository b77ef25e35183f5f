/* SPDX-License-Identifier: MIT */
#pragma once
/* Who sends an HTTP request, behind the operator's own proxies (policy/forwarded.h). */
#include "gateway/env.h"
#include "gateway/http/exchange.h"

/* Of a peer that is no trusted proxy, no header is looked at, and is_ignored is not set; is_secure
 * is whether the connection has TLS. Between a trusted proxy and the gateway, TLS does not count:
 * the proxy says whether its clients use it. Returns 0, or -ENOMEM with the peer: such a request
 * must be refused, or the limits and the networks of the proxy would count for its client. */
_must_check_ int client_of(const struct worker_env *env, const struct http_exchange *exchange,
			   struct forwarded_client *ret_client);

/* Call it when a client asks for a session or a WebSocket. Logs a warning if the peer sends such
 * headers but is not a trusted proxy, because it is probably missing in trusted_proxies. Warns once
 * a day about each peer. */
void client_warn_ignored(struct worker_env *env, const struct http_exchange *exchange);
