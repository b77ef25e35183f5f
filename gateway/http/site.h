/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the gateway serves beside sessions, and the headers that every answer has: the page, the policy files, CORS,
 * content codings. Made once from the configuration, read-only, shared by all workers.
 *
 * text   the body of an answer, which goes out in the coding that the client wants (coding.h)
 * page   the test page, one self-contained document; its script and style are allowed by their hashes (CSP)
 * route  what a path is for
 */
#include "gateway/config.h"
#include "gateway/http/exchange.h"

enum site_route {
	SITE_ROUTE_PAGE,      /* answered by site_answer() */
	SITE_ROUTE_BOSH,      /* a POST for the BOSH endpoint */
	SITE_ROUTE_WEBSOCKET, /* a GET that asks for an upgrade */
	SITE_ROUTE_OTHER,     /* answered by site_answer(): documents, preflight, 404, 405, 415 */
};

struct site;

/* @config is borrowed for the site's life. Returns 0 or -ENOMEM. */
_must_check_ int site_new(const struct config *config, struct site **ret_site);
struct site *site_free(struct site *site);

/* Where @exchange belongs. A trailing slash of the path does not matter. */
enum site_route site_route(const struct site *site, const struct http_exchange *exchange);

/* Answers what is not a session's. */
void site_answer(const struct site *site, struct http_exchange *exchange);

/* Whether the page that made a request with these headers may use the gateway: its origin is in the list, is the gateway's own (what
 * it served itself, at @host), or there is none. */
bool site_allows(const struct site *site, struct sv origin, struct sv host);

/* Answers with a text of a client's session, or about it: in @content_type, with the headers for CORS and caching.
 * @body is a reference of the callee's, and is left as it is for whoever else has it: what is coded is a copy.
 *
 * A browser that shows such an answer as a document must run nothing of it, so it is put into a sandbox. That is what
 * happens when a form of a hostile page is posted here (enctype text/plain can write XML): the document then has the
 * gateway's own origin, and what is in it was chosen by the server of a domain that the form named. */
void site_answer_with(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *content_type, struct blob *body);

/* Answers 403: the page that made the request may not use the gateway (site_allows()). */
void site_refuse_origin(const struct site *site, struct http_exchange *exchange);

/* Answers with a sentence in plain text. */
void site_answer_text(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *text);
