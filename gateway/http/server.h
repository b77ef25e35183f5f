/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Serves the requests that the reader (reader.h) does not: chunked and coded bodies, requests with
 * Expect. Runs libmicrohttpd, in shards, on the worker's loop. It is given sockets whose first
 * request has been judged. No type of libmicrohttpd appears in this header.
 *
 * exchange  one request and its answer (exchange.h)
 * shard     a libmicrohttpd daemon with at most SHARD_CONNECTIONS_MAX connections; resuming one
 *           costs time in proportion to the number of suspended ones
 */
#include "gateway/http/options.h"

struct http_server;

enum {
	/* Bytes for the headers of a request and for what libmicrohttpd needs to answer it: a copy
	 * of the head, an entry for each header and cookie, a second copy of the cookies, and the
	 * answer's head. The whole pool is resident as long as the connection lives. */
	HTTP_POOL = 7 * 1024,
	HTTP_POOL_LARGE = 64 * 1024,
	/* Heads up to this size get the small pool: the usual headers with a few cookies. */
	HTTP_POOL_HEAD = 1024,
	/* Connections with a large pool. Without a limit, clients that send large heads could fill
	 * the memory, and no one needs many: what browsers send comes to the reader. */
	HTTP_LARGE_MAX = 256,
	/* Seconds that a client has to read the answer after its request was cut off. */
	HTTP_CUT_S = 2,
};

/* @options is copied. Returns 0 or a negative errno. */
_must_check_ int http_server_new(const struct http_options *options,
				 struct http_server **ret_server);

/* Replaces the limits for the requests that follow. */
void http_server_reload(struct http_server *server, const struct http_limits *limits);

/* Closes all connections (`done` is called for their exchanges) and then the server, whose memory
 * is freed in a later iteration of the loop. @server may be NULL. Returns NULL. */
struct http_server *http_server_free(struct http_server *server);

/* Whether a request is being received or answered; detached ones (http_exchange_detach()) do not
 * count. */
bool http_server_is_busy(const struct http_server *server);

/* Whether a connection can be adopted whose first request has a head of @n_head bytes. */
bool http_server_has_room(const struct http_server *server, size_t n_head);

/* Takes ownership of the accepted, non-blocking socket @fd of @peer, even on failure, and serves
 * it. The head of the first request has @n_head bytes. Returns 0 or a negative errno. */
_must_check_ int http_server_adopt(struct http_server *server, int fd, const struct wire_peer *peer,
				   size_t n_head);
