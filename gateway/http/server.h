/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * HTTP on a worker: libmicrohttpd in shards, fed with accepted sockets, driven by the worker's loop.
 * None of its types shows here.
 *
 * exchange  one request and its answer (exchange.h)
 * shard     a libmicrohttpd daemon with at most SHARD_CONNECTIONS_MAX connections: the more of them
 *           wait, the more it costs to resume one
 */
#include <uv.h>

#include "gateway/http/exchange.h"
#include "policy/budget.h"

struct http_server;

enum {
	/* Headers of a request, and what libmicrohttpd needs to answer it. A browser's cookies must fit; more is
	 * memory for whoever connects and says nothing. */
	HTTP_CONNECTION_POOL = 7 * 1024,
	/* Seconds that a connection may wait for its next request: more than proxies keep an idle one (nginx: 60), for they may use it in
	 * the very moment in which it is closed, and a BOSH request must not be lost or sent twice. */
	HTTP_IDLE_S = 75,
	/* Seconds that the client of a request that was cut off has to read the answer. */
	HTTP_CUT_S = 2,
};

struct http_server_options {
	uv_loop_t *loop;
	size_t n_body_max;
	/* For a connection to send its first request, whole; a later one has HTTP_IDLE_S more. Slow senders hold descriptors. */
	unsigned timeout_s;
	/* Whether content codings are spoken. */
	bool coding;
	/* Bounds the bytes of unfinished requests. The charges belong to @owner. */
	struct budget *budget;
	unsigned owner;
	/* Returns the client of a request, which may have come through proxies. */
	struct address (*client)(void *userdata, const struct http_exchange *exchange);
	/* The budget wants the bytes of a request back, so its rest is not waited for. Answer it within
	 * the call. Neither `request` nor `done` follows. */
	void (*cut)(void *userdata, struct http_exchange *exchange);
	/* A request is complete. Answer it now or later, from this thread. */
	void (*request)(void *userdata, struct http_exchange *exchange);
	/* The client has gone away and the request is not answered yet; an answer given later is not sent. */
	void (*gone)(void *userdata, struct http_exchange *exchange);
	/* The exchange ends here: nothing may use it any more. */
	void (*done)(void *userdata, struct http_exchange *exchange);
	/* A connection has been closed. */
	void (*closed)(void *userdata, const struct address *peer);
	void *userdata;
};

/* @options is copied. Returns 0 or a negative errno. */
_must_check_ int http_server_new(const struct http_server_options *options, struct http_server **ret_server);

/* Closes all connections (their exchanges are `done`), then itself; memory goes at a later turn. NULL is fine. */
struct http_server *http_server_free(struct http_server *server);

/* Whether a request is being received or answered; one that http_exchange_detach() took does not count. */
bool http_server_is_busy(const struct http_server *server);

/* Serves the accepted, non-blocking socket @fd of @peer, which the server owns from now on, also on failure. Returns 0 or a negative
 * errno. */
_must_check_ int http_server_adopt(struct http_server *server, int fd, const struct address *peer);
