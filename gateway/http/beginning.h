/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The beginning of a request's body as text, before anything of the request has been consumed: it
 * is needed to decide which worker or process reads the request. Undoes the framing of chunks (RFC
 * 9112, 7.1) and the content coding (RFC 9110, 8.4), as far as the bytes have arrived.
 */
#include "common/buffer.h"
#include "gateway/http/coder.h"
#include "gateway/http/head.h"

enum {
	/* Bytes of a coded body, as they were sent, that are looked at. A client that sends them
	 * one by one must not have a large body decoded again with each. */
	HTTP_BEGINNING_MAX = 2048,
};

struct http_beginning {
	struct sv text; /* valid as long as the bytes are, and until http_beginning_deinit() */
	bool has_more;  /* more of the body would tell more */

	/* private */
	struct buffer joined, decoded;
};

/* @bytes: what has arrived, from the first byte of @head on. @coder: NULL if bodies may not have a
 * content coding; such a body is shown as it was sent. @n_max: the bytes of text that are wanted of
 * a coded body. Returns 0 or -ENOMEM. Call http_beginning_deinit() in any case. */
_must_check_ int http_beginning_init(struct http_beginning *beginning, const struct http_head *head,
				     struct sv bytes, struct coder *coder, size_t n_max);
void http_beginning_deinit(struct http_beginning *beginning);

/* The content coding that @head names. */
enum coding http_head_coding(const struct http_head *head, const char *bytes);
