/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One HTTP request and its answer, whichever shard of the server (server.h) has the connection.
 *
 * exchange  a request and the one answer that it wants. It lives from the server's callback `request`
 *           until `done`, and may be answered at any time in between
 */
#include "common/address.h"
#include "common/blob.h"
#include "common/buffer.h"
#include "common/sv.h"
#include "gateway/http/coding.h"

struct http_exchange;

enum {
	/* Of a body that is too large so much is still read, so that the client comes to read the answer. */
	HTTP_DISCARD_MAX = 512 * 1024,
	/* And its beginning is kept, for whoever has to tell the client in the right words. */
	HTTP_KEEP_LARGE = 4096,
};

/* Texts are borrowed for the call. */
struct http_answer {
	unsigned status;
	const char *content_type; /* NULL: no body */
	struct blob *body;        /* a reference of the callee's; NULL: no body */
	const char *const *headers; /* name, value, name, value ... NULL */
	bool close;               /* the connection is of no more use */
};

struct sv http_exchange_method(const struct http_exchange *exchange);
struct sv http_exchange_path(const struct http_exchange *exchange);
/* Only within `request`, and in no coding any more. Of one that could not be decoded only the beginning is there, with
 * a NUL behind it, so that nobody takes it for a whole one: no text has that. */
struct sv http_exchange_body(const struct http_exchange *exchange);
/* Where the body ends is told in two ways: the request is to be refused, and its connection is closed behind the answer. */
bool http_exchange_is_ambiguous(const struct http_exchange *exchange);
/* The body is over n_body_max, as it was sent or decoded, or takes more work to decode than its text is worth: only its
 * beginning is there. */
bool http_exchange_body_too_large(const struct http_exchange *exchange);
/* The body is in a coding that is not spoken here, and is there as it was sent: the request is to be refused. */
bool http_exchange_is_coded_otherwise(const struct http_exchange *exchange);
/* A header's value, borrowed until the answer; data is NULL when there is none. */
struct sv http_exchange_header(const struct http_exchange *exchange, const char *name);
/* Likewise of a header that may stand in several lines, which together are one list (RFC 9110, 5.3): who reads only one of them lets
 * the client write the one that counts. @joined is the caller's, and holds the value when there are several. Without memory there is
 * none. */
struct sv http_exchange_header_list(const struct http_exchange *exchange, const char *name, struct buffer *joined);
const struct address *http_exchange_peer(const struct http_exchange *exchange);

/* The owner's pointer. */
void http_exchange_set_userdata(struct http_exchange *exchange, void *userdata);
void *http_exchange_userdata(const struct http_exchange *exchange);

/* The coding in which the client wants an answer of @n bytes; CODING_IDENTITY where no codings are spoken. */
enum coding http_exchange_choose_coding(const struct http_exchange *exchange, size_t n);

/* coder_encode(), by the coder of the exchange's server. */
_must_check_ int http_exchange_encode(struct http_exchange *exchange, enum coding coding, struct sv plain,
				      struct blob **ret_coded);

/* Answers; once. */
void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer);

/* The status of the answer; 0: there is none yet. */
unsigned http_exchange_status(const struct http_exchange *exchange);

/* Takes the connection out of HTTP's hands instead of answering (a WebSocket upgrade): *ret_fd is a descriptor of the same
 * socket and the caller's. http_exchange_release() ends the exchange when that descriptor has been closed. Returns 0 or a negative
 * errno. */
_must_check_ int http_exchange_detach(struct http_exchange *exchange, int *ret_fd);
void http_exchange_release(struct http_exchange *exchange);
