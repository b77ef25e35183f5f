/* SPDX-License-Identifier: MIT */
#pragma once
/* Heads of requests that are fed whole, byte by byte and cut at random. For one source file of a
 * program, after cmocka.h. */
#include <stdlib.h>

#include "gateway/http/head.h"

#define LINE "POST /http-bind HTTP/1.1\r\n"
#define HOST "Host: gw.test\r\n"
#define FILL_16 "0123456789abcdef"

static inline enum http_head_result feed_whole(struct sv text, struct http_head *ret_head)
{
	*ret_head = (struct http_head){0};
	return http_head_feed(ret_head, text);
}

/* Each piece is fed from a copy of exactly its size at another address. */
static inline enum http_head_result feed_pieces(struct sv text, size_t n_piece,
						struct http_head *ret_head)
{
	enum http_head_result result = HTTP_HEAD_MORE;

	*ret_head = (struct http_head){0};
	for (size_t n = 0; result == HTTP_HEAD_MORE && n < text.n;) {
		size_t n_next = n_piece ? n_piece : 1 + (size_t)rand() % 40;

		n = n + n_next < text.n ? n + n_next : text.n;
		char *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, text.data, n);
		result = http_head_feed(ret_head, (struct sv){copy, n});
		free(copy);
	}
	return result;
}
