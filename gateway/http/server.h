/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * HTTP on a worker: libmicrohttpd in shards, fed with accepted sockets, driven by the worker's loop. None of its types shows here.
 *
 * exchange  one request and the one answer that it wants. It lives from `request` until `done`.
 * shard     a libmicrohttpd daemon with at most SHARD_CONNECTIONS_MAX connections (its cost of resuming one grows with the
 *           number that wait)
 */
#include <uv.h>

#include "common/address.h"
#include "common/blob.h"
#include "common/buffer.h"
#include "common/sv.h"
#include "gateway/http/coding.h"

struct http_server;
struct http_exchange;

enum {
	/* Headers of a request, and what libmicrohttpd needs to answer it. A browser's cookies must fit; more is
	 * memory for whoever connects and says nothing. */
	HTTP_CONNECTION_POOL = 7 * 1024,
	/* Seconds that a connection may wait for its next request: more than proxies keep an idle one (nginx: 60), for they may use it in
	 * the very moment in which it is closed, and a BOSH request must not be lost or sent twice. */
	HTTP_IDLE_S = 75,
	/* Of a body that is too large so much is still read, so that the client comes to read the answer. */
	HTTP_DISCARD_MAX = 512 * 1024,
	/* And its beginning is kept, for whoever has to tell the client in the right words. */
	HTTP_KEEP_LARGE = 4096,
};

struct http_server_options {
	uv_loop_t *loop;
	size_t n_body_max;
	/* For a connection to send its first request, whole; a later one has HTTP_IDLE_S more. Slow senders hold descriptors. */
	unsigned timeout_s;
	/* Whether content codings are spoken. */
	bool coding;
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

/* Texts are borrowed for the call. */
struct http_answer {
	unsigned status;
	const char *content_type; /* NULL: no body */
	struct blob *body;        /* a reference of the callee's; NULL: no body */
	const char *const *headers; /* name, value, name, value ... NULL */
	bool close;               /* the connection is of no more use */
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

/* Takes the connection out of HTTP's hands instead of answering (a WebSocket upgrade): *ret_fd is a descriptor of the same
 * socket and the caller's. http_exchange_release() ends the exchange when that descriptor has been closed. Returns 0 or a negative
 * errno. */
_must_check_ int http_exchange_detach(struct http_exchange *exchange, int *ret_fd);
void http_exchange_release(struct http_exchange *exchange);
