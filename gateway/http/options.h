/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the reader of requests (reader.h) is given: limits, and the callbacks that it calls.
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
	/* For content codings; NULL: they are not supported. One that was used once must stay
	 * valid, for a request may be in the middle of it. */
	struct coder *coder;
};

/* The pointers are borrowed for as long as the receiver exists. */
struct http_options {
	uv_loop_t *loop;
	struct wire_hub *hub;
	struct http_date *date; /* of the answers */
	struct http_limits limits;
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
	/* Whether connections may go to another process now. It cannot be given what was consumed
	 * of a request: if not, the reader fetches the requests that follow the first one (wire.h).
	 * Nor can it be given a connection of the server, which then ends with its next answer. */
	bool (*passes)(void *userdata);
	/* A connection has been closed. */
	void (*closed)(void *userdata, const struct address *peer);
	void *userdata;
};
