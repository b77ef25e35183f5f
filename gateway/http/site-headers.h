/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The headers of an answer: those that every answer has (CORS, Vary, caching), and what is added to
 * them. Private to gateway/http; answers themselves are made by site.c.
 */
#include "gateway/config/config.h"
#include "gateway/http/exchange.h"

enum {
	/* Names and values of up to twelve headers, and the terminating NULL. */
	SITE_HEADERS_MAX = 2 * 12 + 1,
};

struct site_headers {
	const char *list[SITE_HEADERS_MAX]; /* as http_answer.headers */
	size_t n;
	enum origin_verdict verdict; /* about the page that sent the request */
	char origin[ORIGIN_LENGTH_MAX + 1];
	char vary[sizeof("Origin, Accept-Encoding, Accept")];
};

/* What these headers depend on, besides the request. */
struct site_headers_basis {
	bool has_text;             /* there is a body, which may be coded */
	bool varies_by_accept;     /* the Accept header decides what the body is */
	const char *cache_control; /* for how long the answer may be kept */
};

/* Sets the headers that every answer has. @headers must not be moved afterwards. */
void site_headers_init(struct site_headers *headers, const struct config *config,
		       const struct http_exchange *exchange,
		       const struct site_headers_basis *basis);

/* Adds a header; nothing if @value is NULL. Both are borrowed. */
void site_headers_add(struct site_headers *headers, const char *name, const char *value);
