/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * HTTP server of a worker: runs libmicrohttpd, in shards, on the worker's loop. It is given
 * accepted sockets. No type of libmicrohttpd appears in this header.
 *
 * exchange  one request and its answer (exchange.h)
 * shard     a libmicrohttpd daemon with at most SHARD_CONNECTIONS_MAX connections; resuming one
 *           costs time in proportion to the number of suspended ones
 */
#include <uv.h>

#include "gateway/http/exchange.h"
#include "policy/budget.h"

struct http_server;

enum {
	/* Bytes for the headers of a request and for what libmicrohttpd needs to answer it. A
	 * browser's cookies must fit; but every connection costs this much, even one that never
	 * sends anything. */
	HTTP_CONNECTION_POOL = 7 * 1024,
	/* Seconds that a connection may be idle between requests. Longer than proxies keep an idle
	 * connection (nginx: 60), because a proxy might otherwise send a request just as the
	 * gateway closes the connection, and a BOSH request must not be lost or sent twice. */
	HTTP_IDLE_S = 75,
	/* Seconds that a client has to read the answer after its request was cut off. */
	HTTP_CUT_S = 2,
};

struct http_server_options {
	uv_loop_t *loop;
	size_t n_body_max;
	/* Seconds until a new connection must have sent its first request completely; for later
	 * requests HTTP_IDLE_S is added. It bounds how long a slow sender can hold a descriptor. */
	unsigned timeout_s;
	/* Whether content codings are supported. */
	bool coding;
	/* Bounds the bytes of incomplete requests; they are charged to @owner. */
	struct budget *budget;
	unsigned owner;
	/* Returns the address of the client, also of a request that came through proxies. */
	struct address (*client)(void *userdata, const struct http_exchange *exchange);
	/* The budget reclaims the bytes of an incomplete request, so it is cut off. Answer it
	 * within the call. Neither `request` nor `done` is called for it. */
	void (*cut)(void *userdata, struct http_exchange *exchange);
	/* A request is complete. Answer it now or later, on this thread. */
	void (*request)(void *userdata, struct http_exchange *exchange);
	/* The client hung up before its request was answered; an answer given later is not sent. */
	void (*gone)(void *userdata, struct http_exchange *exchange);
	/* The exchange has ended and must not be used any more. */
	void (*done)(void *userdata, struct http_exchange *exchange);
	/* A connection has been closed. */
	void (*closed)(void *userdata, const struct address *peer);
	void *userdata;
};

/* @options is copied. Returns 0 or a negative errno. */
_must_check_ int http_server_new(const struct http_server_options *options,
				 struct http_server **ret_server);

/* Replaces limits, and whether content codings are supported, for the requests that follow. Returns
 * 0, or -ENOMEM; then codings are not supported. */
_must_check_ int http_server_reload(struct http_server *server, size_t n_body_max,
				    unsigned timeout_s, bool coding);

/* Closes all connections (`done` is called for their exchanges) and then the server, whose memory
 * is freed in a later iteration of the loop. @server may be NULL. Returns NULL. */
struct http_server *http_server_free(struct http_server *server);

/* Whether a request is being received or answered; detached ones (http_exchange_detach()) do not
 * count. */
bool http_server_is_busy(const struct http_server *server);

/* Takes ownership of the accepted, non-blocking socket @fd of @peer, even on failure, and serves
 * it. Returns 0 or a negative errno. */
_must_check_ int http_server_adopt(struct http_server *server, int fd, const struct address *peer);
