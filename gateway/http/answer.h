/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes the head of an answer. Private to gateway/http.
 */
#include "common/buffer.h"
#include "gateway/http/exchange.h"

/* Appends the status line and the headers of @answer, whose body has @n_body bytes. @closes: the
 * connection ends after it. @date: the Date header (date.h). Returns 0 or -ENOMEM. */
_must_check_ int http_answer_write(const struct http_answer *answer, size_t n_body, bool closes,
				   struct sv date, struct buffer *buffer);
