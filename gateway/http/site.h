/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the gateway serves besides sessions (the test page, policy files, CORS preflights), and how
 * all answers are sent: with which headers (site-headers.h), in which content coding. Created once
 * from the configuration; read-only and shared by all workers.
 *
 * text   the body of an answer; it is sent in the content coding that the client prefers (coding.h)
 * page   the test page, one self-contained document; the CSP allows its script and style by their
 *        hashes
 * route  which part of the gateway handles a request
 */
#include "gateway/config/config.h"
#include "gateway/http/exchange.h"

enum site_route {
	SITE_ROUTE_BOSH,      /* a POST for the BOSH endpoint */
	SITE_ROUTE_WEBSOCKET, /* a GET that asks for an upgrade */
	/* answered by site_answer(): the page, documents, preflights, 404, 405, 412, 415, 501 */
	SITE_ROUTE_OTHER,
};

/* Plug-ins that ask whether they may open sockets. */
enum site_plugin {
	SITE_PLUGIN_FLASH,
	SITE_PLUGIN_SILVERLIGHT,
};

struct site;

/* @config is borrowed until site_free(). Returns 0 or -ENOMEM. */
_must_check_ int site_new(const struct config *config, struct site **ret_site);
struct site *site_free(struct site *site);

/* Returns the route of @exchange. A trailing slash of the path is ignored. */
enum site_route site_route(const struct site *site, const struct http_exchange *exchange);

/* Answers a request of the route SITE_ROUTE_OTHER. At the paths of the transports, browsers that
 * show what they get (Accept: text/html) get the page, and others a few bytes: clients ask there
 * again and again, to keep a connection open. */
void site_answer(const struct site *site, struct http_exchange *exchange);

/* The socket policy for @plugin, without the NUL that Flash wants at its end. Borrowed from
 * @site. */
struct sv site_socket_policy(const struct site *site, enum site_plugin plugin);

/* Whether the page that sent a request with these headers may use the gateway: @origin is allowed
 * (policy/origin.h), or it is the gateway's own, which means that it is @host and that is a host of
 * the gateway (policy/host.h), or it is absent and need not be there. */
bool site_allows(const struct site *site, struct sv origin, struct sv host);

/* Answers with a text of a client's session, or about it: in @content_type, with the headers for
 * CORS and caching. Consumes the caller's reference to @body but does not change it; a coded answer
 * is a copy.
 *
 * The answer is sandboxed (CSP), so that a browser that shows it as a document runs no scripts from
 * it and loads nothing, whatever its media type is. That matters because a form on a hostile page
 * can post XML here (enctype text/plain). The answer is then shown with the gateway's own origin,
 * and its content was chosen by the server of a domain that the form named. */
void site_answer_with(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *content_type, struct blob *body);

/* Answers 503: the client can repeat the request. */
void site_answer_without_memory(const struct site *site, struct http_exchange *exchange);

/* Answers 403: the page that sent the request may not use the gateway (site_allows()). */
void site_refuse_origin(const struct site *site, struct http_exchange *exchange);

/* Answers with a sentence in plain text. */
void site_answer_text(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *text);
