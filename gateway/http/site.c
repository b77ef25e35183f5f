/* SPDX-License-Identifier: MIT */
#include "gateway/http/site.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/http/document.h"
#include "gateway/peek.h"
#include "policy/documents.h"

enum {
	/* Name and value of each, and the NULL: see headers_add(). */
	SITE_HEADERS_MAX = 2 * 10 + 1,
};

struct site {
	const struct config *config;
	struct blob *page;
	char *page_policy;
	struct blob *crossdomain;
	struct blob *clientaccess;
};

struct headers {
	const char *list[SITE_HEADERS_MAX];
	size_t n;
};

static int blob_from(const struct buffer *buffer, struct blob **ret_blob)
{
	int r = blob_new(buffer->n, ret_blob);

	if (r == 0) {
		memcpy((*ret_blob)->data, buffer_sv(buffer).data, buffer->n);
	}
	return r;
}

static int make_policies(struct site *site)
{
	_cleanup_(buffer_deinit) struct buffer crossdomain = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer clientaccess = BUFFER_INIT;
	const struct config *config = site->config;
	int r = documents_crossdomain(&config->origins, &crossdomain);

	if (r == 0) {
		r = documents_clientaccesspolicy(&config->origins, config->bosh_path, &clientaccess);
	}
	if (r == 0) {
		r = blob_from(&crossdomain, &site->crossdomain);
	}
	return r < 0 ? r : blob_from(&clientaccess, &site->clientaccess);
}

int site_new(const struct config *config, struct site **ret_site)
{
	struct site *site = calloc(1, sizeof(*site));

	if (!site) {
		return -ENOMEM;
	}
	site->config = config;
	int r = document_page(config, &site->page, &site->page_policy);

	if (r == 0) {
		r = make_policies(site);
	}
	if (r < 0) {
		site_free(site);
		return r;
	}
	*ret_site = site;
	return 0;
}

struct site *site_free(struct site *site)
{
	if (!site) {
		return NULL;
	}
	blob_unref(site->page);
	blob_unref(site->crossdomain);
	blob_unref(site->clientaccess);
	free(site->page_policy);
	free(site);
	return NULL;
}

static bool has_path(const struct http_exchange *exchange, const char *path)
{
	return sv_eq(peek_without_slash(http_exchange_path(exchange)), peek_without_slash(sv_from(path)));
}

static bool has_method(const struct http_exchange *exchange, struct sv method)
{
	return sv_eq(http_exchange_method(exchange), method);
}

static bool is_read(const struct http_exchange *exchange)
{
	return has_method(exchange, SV("GET")) || has_method(exchange, SV("HEAD"));
}

enum site_route site_route(const struct site *site, const struct http_exchange *exchange)
{
	const struct config *config = site->config;

	if (has_path(exchange, config->bosh_path)) {
		if (has_method(exchange, SV("POST"))) {
			return SITE_ROUTE_BOSH;
		}
		return is_read(exchange) ? SITE_ROUTE_PAGE : SITE_ROUTE_OTHER;
	}
	if (has_path(exchange, config->websocket_path) && is_read(exchange)) {
		return http_exchange_header(exchange, "Upgrade").n && has_method(exchange, SV("GET"))
			       ? SITE_ROUTE_WEBSOCKET
			       : SITE_ROUTE_PAGE;
	}
	return has_path(exchange, "/") && is_read(exchange) ? SITE_ROUTE_PAGE : SITE_ROUTE_OTHER;
}

static void headers_add(struct headers *headers, const char *name, const char *value)
{
	if (value) {
		headers->list[headers->n++] = name;
		headers->list[headers->n++] = value;
		headers->list[headers->n] = NULL;
	}
}

bool site_allows(const struct site *site, struct sv origin, struct sv host)
{
	size_t scheme = sv_find_sv(origin, SV("://"));
	bool own = host.n && scheme < origin.n && sv_eq_nocase(sv_skip(origin, scheme + 3), host);

	return own || origin_list_allows(&site->config->origins, origin);
}

/* What every answer has. XEP-0124 leaves caching to HTTP; a cached answer would be a repeated one. */
static void headers_common(struct headers *headers, const struct site *site,
			   const struct http_exchange *exchange)
{
	const struct origin_list *origins = &site->config->origins;

	headers_add(headers, "Access-Control-Allow-Origin",
		    origin_list_header(origins, http_exchange_header(exchange, "Origin")));
	headers_add(headers, "Vary", origins->any ? NULL : "Origin");
	headers_add(headers, "X-Content-Type-Options", "nosniff");
	headers_add(headers, "Cache-Control", "no-store");
}

void site_answer_with(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *content_type, struct blob *body)
{
	struct headers headers = {.n = 0};

	headers_common(&headers, site, exchange);
	http_exchange_answer(exchange, &(struct http_answer){.status = status,
							     .content_type = content_type,
							     .body = body,
							     .headers = headers.list});
}

static void answer_page(const struct site *site, struct http_exchange *exchange)
{
	struct headers headers = {.n = 0};

	headers_common(&headers, site, exchange);
	headers_add(&headers, "Content-Security-Policy", site->page_policy);
	headers_add(&headers, "Referrer-Policy", "no-referrer");
	http_exchange_answer(exchange, &(struct http_answer){.status = 200,
							     .content_type = "text/html; charset=utf-8",
							     .body = blob_ref(site->page),
							     .headers = headers.list});
}

/* The methods of a path; NULL when there is no such path. */
static const char *methods_of(const struct site *site, const struct http_exchange *exchange)
{
	if (has_path(exchange, site->config->bosh_path)) {
		return "GET, HEAD, OPTIONS, POST";
	}
	if (has_path(exchange, "/") || has_path(exchange, site->config->websocket_path) ||
	    has_path(exchange, "/crossdomain.xml") || has_path(exchange, "/clientaccesspolicy.xml")) {
		return "GET, HEAD, OPTIONS";
	}
	return NULL;
}

/* WHATWG Fetch, "CORS-preflight request"; an OPTIONS that is none is answered alike. */
static void answer_options(const struct site *site, struct http_exchange *exchange, const char *methods)
{
	struct headers headers = {.n = 0};

	headers_common(&headers, site, exchange);
	headers_add(&headers, "Allow", methods);
	headers_add(&headers, "Access-Control-Allow-Methods", methods);
	headers_add(&headers, "Access-Control-Allow-Headers",
		    "Content-Type, Content-Encoding, X-Requested-With");
	headers_add(&headers, "Access-Control-Max-Age", "86400");
	http_exchange_answer(exchange, &(struct http_answer){.status = 204, .headers = headers.list});
}

static void answer_text(const struct site *site, struct http_exchange *exchange, unsigned status,
			const char *text, const char *allow)
{
	struct headers headers = {.n = 0};
	struct blob *body;
	size_t n = strlen(text);

	headers_common(&headers, site, exchange);
	headers_add(&headers, "Allow", allow);
	if (status == 426) {
		/* RFC 6455, 4.2.2. */
		headers_add(&headers, "Upgrade", "websocket");
		headers_add(&headers, "Sec-WebSocket-Version", "13");
	}
	if (blob_new(n, &body) < 0) {
		body = NULL;
	} else {
		memcpy(body->data, text, n);
	}
	http_exchange_answer(exchange, &(struct http_answer){.status = status,
							     .content_type = "text/plain; charset=utf-8",
							     .body = body,
							     .headers = headers.list});
}

void site_answer_text(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *text)
{
	answer_text(site, exchange, status, text, NULL);
}

void site_answer(const struct site *site, struct http_exchange *exchange)
{
	const char *methods = methods_of(site, exchange);

	if (site_route(site, exchange) == SITE_ROUTE_PAGE) {
		answer_page(site, exchange);
	} else if (!methods) {
		answer_text(site, exchange, 404, "There is nothing here.\n", NULL);
	} else if (has_method(exchange, SV("OPTIONS"))) {
		answer_options(site, exchange, methods);
	} else if (!is_read(exchange)) {
		answer_text(site, exchange, 405, "This path does not take that method.\n", methods);
	} else {
		bool cross = has_path(exchange, "/crossdomain.xml");

		site_answer_with(site, exchange, 200, "text/xml; charset=utf-8",
				 blob_ref(cross ? site->crossdomain : site->clientaccess));
	}
}
