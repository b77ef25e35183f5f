/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * WebSocket sessions of a worker (RFC 7395): joins a WebSocket, the framing engine and a link.
 *
 * session  from the WebSocket's opening to its end
 */
#include "gateway/env.h"
#include "gateway/http/exchange.h"
#include "gateway/peek.h"

struct ws_endpoint;

/* @env is borrowed for the endpoint's life. Returns 0 or a negative errno. */
_must_check_ int ws_endpoint_new(struct worker_env *env, struct ws_endpoint **ret_endpoint);

/* Tells every session that the gateway is being shut down; they end over the next turns of the loop. New ones are refused. */
void ws_endpoint_shut(struct ws_endpoint *endpoint);

/* Ends what is left without a word, over the next turns of the loop. NULL is fine. */
void ws_endpoint_stop(struct ws_endpoint *endpoint);

/* Whether a socket is still the endpoint's: as long as one is, the HTTP server that an upgrade came by is needed. */
bool ws_endpoint_is_busy(const struct ws_endpoint *endpoint);

/* When the loop has nothing left to do. NULL is fine. */
struct ws_endpoint *ws_endpoint_free(struct ws_endpoint *endpoint);

/* Judges a handshake with which a connection begins. @fd: the connection, of which nothing has been
 * read yet; @peek: what is known of its first bytes, which end with the handshake or go on behind it.
 * Returns true when it is accepted: then @fd is the endpoint's, which gives the seat of @peer in the
 * census back when the connection is closed. False: it is still the caller's, whole, and HTTP is to
 * refuse it (ws_endpoint_upgrade()). */
bool ws_endpoint_adopt(struct ws_endpoint *endpoint, int fd, const struct address *peer,
		       const struct peek *peek);

/* Judges a handshake that HTTP received. Answers @exchange when it is refused. */
void ws_endpoint_upgrade(struct ws_endpoint *endpoint, struct http_exchange *exchange);
