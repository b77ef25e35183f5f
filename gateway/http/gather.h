/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Gathers a request that does not arrive at once. Private to gateway/http.
 *
 * head    bytes of the head that stand before the body, so that the headers can be read until the
 *         request is complete
 * cut     the budget wants the bytes back (policy/budget.h): the request is given up, and its
 *         client is told
 */
#include "gateway/http/options.h"

struct http_gather {
	struct http_exchange *exchange;
	void (*on_cut)(struct http_exchange *exchange);
	struct buffer bytes; /* the head and the body */
	size_t n_head;
	size_t n_announced;          /* of the body, by Content-Length; 0: not known */
	struct budget_charge charge; /* for the bytes */
	size_t n_discarded;
	bool is_cut;
};

/* @exchange is borrowed as long as @gather is used. @on_cut has to answer it within the call; the
 * bytes are freed after it. */
void http_gather_init(struct http_gather *gather, struct http_exchange *exchange,
		      void (*on_cut)(struct http_exchange *exchange));
/* May run twice. */
void http_gather_deinit(struct http_gather *gather);

/* Keeps a copy of @head before the body. Returns 0 or -ENOMEM. */
_must_check_ int http_gather_begin(struct http_gather *gather, struct sv head);

/* Adds a piece of the body. Of a body that is too large the beginning is kept, which is marked in
 * the exchange. Returns false when the client has sent more than is read of such a body, or out of
 * memory. */
_must_check_ bool http_gather_add(struct http_gather *gather, const char *data, size_t n);

/* Room at the end of a large body of announced length, so that what comes next can be read there
 * without a copy. Returns NULL if there is none: the body is small or too large, or given up, or
 * out of memory. Then http_gather_add() takes what comes. */
char *http_gather_room(struct http_gather *gather, size_t *ret_n_room);

/* @n bytes have been read into that room. Returns 0 or -ENOMEM. */
_must_check_ int http_gather_filled(struct http_gather *gather, size_t n);

/* Gives the memory of a large body away, and keeps a copy of the head. The budget is no longer
 * charged: the new owner holds it. Returns false if the body is small, or out of memory (nothing
 * changed). */
bool http_gather_take(struct http_gather *gather, struct buffer *ret_body);

/* Decodes the body, or its beginning if it is too large, as its content coding says. Returns 0 or
 * -ENOMEM. */
_must_check_ int http_gather_decode(struct http_gather *gather);

/* Charges the budget with what is held, which decoding has made more. Returns 0 or -ENOMEM. */
_must_check_ int http_gather_charge(struct http_gather *gather);

/* Whether a body of @n bytes is so large that it will not be read to its end. */
bool http_gather_is_hopeless(const struct http_options *options, uint64_t n);

static inline struct sv http_gather_body(const struct http_gather *gather)
{
	return sv_skip(buffer_sv(&gather->bytes), gather->n_head);
}
