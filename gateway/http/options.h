/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the reader of requests (reader.h) is given: its limits, and the callbacks through which it
 * reports exchanges (exchange.h).
 */
#include <uv.h>

#include "gateway/http/exchange.h"
#include "policy/budget.h"

struct http_date;

enum {
	/* Seconds that a connection may be idle between requests. Longer than proxies keep an idle
	 * connection (nginx: 60), because a proxy might otherwise send a request just as the
	 * gateway closes the connection, and a BOSH request must not be lost or sent twice. */
	HTTP_IDLE_S = 75,
};

/* What a reload replaces. */
struct http_limits {
	size_t n_body_max;
	/* Seconds until a new connection must have sent its first request completely; for later
	 * requests HTTP_IDLE_S is added. It bounds how long a slow sender can hold a descriptor. */
	unsigned timeout_s;
	/* For content codings; NULL: they are not supported. A coder that was given once must stay
	 * valid, because a request may be using it. */
	struct coder *coder;
};

/* The pointers are borrowed for as long as the reader exists. */
struct http_options {
	uv_loop_t *loop;
	struct wire_hub *hub;
	struct http_date *date; /* of the answers */
	struct http_limits limits;
	/* Bounds the bytes of incomplete requests, which are charged to `owner`
	 * (policy/budget.h). */
	struct budget *budget;
	unsigned owner;
	/* Returns the address of the client, also of a request that came through proxies. */
	struct address (*client)(void *userdata, const struct http_exchange *exchange);
	/* The budget reclaims the bytes of an incomplete request, so it is cut off. Answer it
	 * within the call. Neither `request` nor `done` is called for it (but see `prepare`). */
	void (*cut)(void *userdata, struct http_exchange *exchange);
	/* The body of a request is complete, and larger than the portion that its client has now
	 * (wire_portion()). Returns whether it may be passed to `request`; otherwise this is
	 * called again when the client has its next turn, so that the body can be read in portions.
	 * From the first call on, `done` is called also for a request that is not passed on; right
	 * after `cut` for one that is cut off. NULL: all are passed on. */
	bool (*prepare)(void *userdata, struct http_exchange *exchange, size_t n_portion);
	/* A request is complete. Answer it now or later, on this thread. */
	void (*request)(void *userdata, struct http_exchange *exchange);
	/* The client hung up before its request was answered; an answer given later is not sent. */
	void (*gone)(void *userdata, struct http_exchange *exchange);
	/* The exchange has ended and must not be used any more. */
	void (*done)(void *userdata, struct http_exchange *exchange);
	/* Whether a connection may have to go to another process now. That cannot be given what
	 * was consumed of a request, so requests are then peeked at; otherwise those that follow
	 * the first one are fetched, which costs less (wire.h). */
	bool (*passes)(void *userdata);
	/* A connection has been closed. */
	void (*closed)(void *userdata, const struct address *peer);
	void *userdata;
};
