/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One HTTP request and its answer.
 *
 * exchange  a request and the one answer that it wants. It lives from the server's callback
 *           `request` until `done`, and may be answered at any time in between
 */
#include "common/address.h"
#include "common/blob.h"
#include "common/buffer.h"
#include "common/sv.h"
#include "gateway/http/coding.h"
#include "gateway/wire/wire.h"

struct http_exchange;

enum {
	/* How much of a body that is too large is read and discarded. Many clients read no answer
	 * before they have sent the whole body. */
	HTTP_DISCARD_MAX = 512 * 1024,
	/* How much of its beginning is kept, so that the answer can be in the words of the
	 * protocol. */
	HTTP_KEEP_LARGE = 4096,
};

/* Texts are borrowed for the call. */
struct http_answer {
	unsigned status;
	const char *content_type;   /* NULL: no body */
	struct blob *body;          /* the reference passes to the callee; NULL: no body */
	const char *const *headers; /* name, value, name, value ... NULL */
	bool closes;                /* closes the connection */
};

struct sv http_exchange_method(const struct http_exchange *exchange);
/* Without scheme, authority and query; compare it with http_path_eq(). */
struct sv http_exchange_path(const struct http_exchange *exchange);
/* The decoded body; valid only inside `request`. If decoding failed, it is the beginning, followed
 * by a NUL, which no text contains, so that it cannot be taken for a whole body. */
struct sv http_exchange_body(const struct http_exchange *exchange);
/* Gives the memory of a large body to the caller, so that it need not be copied; the exchange has
 * no body then. Texts of the request that were got before are no longer valid. Returns false if
 * the body is small, or out of memory. Only inside `request`. */
bool http_exchange_take_body(struct http_exchange *exchange, struct buffer *ret_body);
/* Whether the body exceeds n_body_max, as sent or as decoded, or would take too much work to
 * decode. Then only its beginning is there. */
bool http_exchange_body_too_large(const struct http_exchange *exchange);
/* Whether the body has a content coding that is not supported. Such a request must be refused; the
 * body is there as it was sent. */
bool http_exchange_is_coded_otherwise(const struct http_exchange *exchange);
/* The value of a header; data is NULL when there is none. Method, path and headers are valid only
 * inside `request` and `cut`, except for the value of Origin, which is valid until the answer. */
struct sv http_exchange_header(const struct http_exchange *exchange, const char *name);
/* Likewise for a header whose lines form one list (RFC 9110, 5.3). All lines count, so that a
 * client cannot hide the line of a proxy behind its own. @joined belongs to the caller and holds
 * the value if there are several lines. Returns 0 or -ENOMEM. */
_must_check_ int http_exchange_header_list(const struct http_exchange *exchange, const char *name,
					   struct buffer *joined, struct sv *ret_list);
const struct address *http_exchange_peer(const struct http_exchange *exchange);
/* Names the client behind the peer: if it does not read the answer, the answer is charged to it.
 * Holds as wire_set_payer() says. Returns 0 or -ENOMEM. Only inside `request`. */
_must_check_ int http_exchange_set_client(struct http_exchange *exchange,
					  const struct address *client);
/* Whether the peer used TLS (wire_is_secure()). */
bool http_exchange_is_secure(const struct http_exchange *exchange);

/* A pointer for the owner's use. */
void http_exchange_set_userdata(struct http_exchange *exchange, void *userdata);
void *http_exchange_userdata(const struct http_exchange *exchange);

/* The coding that the client prefers for an answer of @n bytes; CODING_IDENTITY if codings are
 * off. */
enum coding http_exchange_choose_coding(const struct http_exchange *exchange, size_t n);

/* coder_encode() with the coder of the server. */
_must_check_ int http_exchange_encode(struct http_exchange *exchange, enum coding coding,
				      struct sv plain, struct blob **ret_coded);

/* Answers the request. Only the first call counts. */
void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer);

/* The status of the answer; 0: there is none yet. */
unsigned http_exchange_status(const struct http_exchange *exchange);

/* Takes the connection away from HTTP instead of answering, for a WebSocket upgrade. *ret_wire has
 * the bytes that follow the request; it is in the worker's hub, has no user yet, and gives its seat
 * in the census back when it is closed. Set a user, then wire_wake() it. @exchange must not be used
 * any more. Returns 0, or -EBUSY if answers are due before this one or the connection has ended;
 * then the request must be answered. Call it inside `request`. */
_must_check_ int http_exchange_detach(struct http_exchange *exchange, struct wire **ret_wire);
