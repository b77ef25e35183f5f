/* SPDX-License-Identifier: MIT */
#pragma once
/* Who sends an HTTP request, behind the operator's own proxies (policy/forwarded.h). */
#include "gateway/env.h"
#include "gateway/http/exchange.h"

/* Of a peer that is no trusted proxy, no header is looked at, and is_ignored is not set; is_secure
 * is whether the connection has TLS. Between a trusted proxy and the gateway, TLS does not count:
 * the proxy says whether its clients use it. */
struct forwarded_client client_of(const struct worker_env *env,
				  const struct http_exchange *exchange);

/* To be called when a session or a WebSocket is asked for: warns if the peer writes such headers
 * and is no trusted proxy, for it is probably missing in trusted_proxies. Once a day for each
 * peer. */
void client_warn_ignored(struct worker_env *env, const struct http_exchange *exchange);
