/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * WebSocket sessions of a worker (RFC 7395). Each connects a WebSocket, a framing engine and a
 * link.
 *
 * session  exists from the opening of its WebSocket until the connection ends
 */
#include "gateway/env.h"
#include "gateway/http/exchange.h"

struct ws_endpoint;

/* @env is borrowed until ws_endpoint_free(), which must be called also after a failure, if
 * *ret_endpoint was set. Returns 0 or a negative errno. */
_must_check_ int ws_endpoint_new(struct worker_env *env, struct ws_endpoint **ret_endpoint);

/* The configuration of the environment has been replaced: new sessions use it. */
void ws_endpoint_reload(struct ws_endpoint *endpoint);

/* Tells every client that the gateway is shutting down; the sessions end during the next iterations
 * of the loop. */
void ws_endpoint_shut(struct ws_endpoint *endpoint);

/* Closes the remaining connections without a closing handshake. May run twice; @endpoint may be
 * NULL. */
void ws_endpoint_stop(struct ws_endpoint *endpoint);

/* Whether the endpoint still has a WebSocket. While it does, the hub must not be closed, because
 * wire_hub_close() does not tell the users of its wires. */
bool ws_endpoint_is_busy(const struct ws_endpoint *endpoint);

/* Call when the loop has no active handles left. @endpoint may be NULL. Returns NULL. */
struct ws_endpoint *ws_endpoint_free(struct ws_endpoint *endpoint);

/* Checks a handshake that the HTTP server received. Takes the connection over, or answers @exchange
 * with the reason for the refusal. */
void ws_endpoint_upgrade(struct ws_endpoint *endpoint, struct http_exchange *exchange);
