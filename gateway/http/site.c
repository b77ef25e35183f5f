/* SPDX-License-Identifier: MIT */
#include "gateway/http/site.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/http/fixed.h"
#include "gateway/http/head.h"
#include "gateway/http/site-headers.h"
#include "policy/cors.h"

struct site {
	const struct config *config;
	struct fixed fixed;
};

int site_new(const struct config *config, struct site **ret_site)
{
	struct site *site = calloc(1, sizeof(*site));

	if (!site) {
		return -ENOMEM;
	}
	site->config = config;
	int r = fixed_init(&site->fixed, config);

	if (r < 0) {
		site_free(site);
		return r;
	}
	*ret_site = site;
	return 0;
}

struct site *site_free(struct site *site)
{
	if (site) {
		fixed_deinit(&site->fixed);
		free(site);
	}
	return NULL;
}

static bool has_path(const struct http_exchange *exchange, const char *path)
{
	return http_path_eq(http_exchange_path(exchange), sv_from(path));
}

static bool has_method(const struct http_exchange *exchange, struct sv method)
{
	return sv_eq(http_exchange_method(exchange), method);
}

static bool is_read(const struct http_exchange *exchange)
{
	return has_method(exchange, SV("GET")) || has_method(exchange, SV("HEAD"));
}

static bool is_post_of_bosh(const struct site *site, const struct http_exchange *exchange)
{
	return has_method(exchange, SV("POST")) && has_path(exchange, site->config->bosh_path);
}

/* Whether @parameters of a media type have a weight of 0: "not this one" (RFC 9110, 12.4.2). */
static bool is_unwanted(struct sv parameters)
{
	struct sv item;

	while (sv_split(&parameters, ';', &item)) {
		size_t n = strlen("q=");

		if (sv_eq_nocase(sv_first(item, n), SV("q="))) {
			while (n < item.n && (item.data[n] == '0' || item.data[n] == '.')) {
				n++;
			}
			return n == item.n;
		}
	}
	return false;
}

/* Whether the client is a browser that wants to show what it gets. Others ask only to see whether
 * there is an answer, or to keep a connection open. */
static bool wants_page(const struct http_exchange *exchange)
{
	_cleanup_(buffer_deinit) struct buffer joined = BUFFER_INIT;
	struct sv type, types;

	/* Without memory, a text says the same as the page. */
	(void)!http_exchange_header_list(exchange, "Accept", &joined, &types);
	while (sv_split(&types, ',', &type)) {
		size_t n = sv_find(type, ';');

		if (sv_eq_nocase(sv_trim(sv_first(type, n)), SV("text/html")) &&
		    !is_unwanted(sv_skip(type, n + 1))) {
			return true;
		}
	}
	return false;
}

static bool is_upgrade(const struct site *site, const struct http_exchange *exchange)
{
	return has_path(exchange, site->config->websocket_path) &&
	       has_method(exchange, SV("GET")) && http_exchange_header(exchange, "Upgrade").n;
}

enum site_route site_route(const struct site *site, const struct http_exchange *exchange)
{
	if (is_post_of_bosh(site, exchange) && !http_exchange_is_coded_otherwise(exchange)) {
		return SITE_ROUTE_BOSH;
	}
	return is_upgrade(site, exchange) ? SITE_ROUTE_WEBSOCKET : SITE_ROUTE_OTHER;
}

struct sv site_socket_policy(const struct site *site, enum site_plugin plugin)
{
	enum fixed_id id =
		plugin == SITE_PLUGIN_FLASH ? FIXED_FLASH_SOCKETS : FIXED_SILVERLIGHT_SOCKETS;

	return blob_sv(site->fixed.texts[id].in[CODING_IDENTITY]);
}

/* Whether the page came from the gateway itself: its origin is the host that it asks for. */
static bool is_same_host(struct sv origin, struct sv host)
{
	size_t n = sv_find_sv(origin, SV("://"));
	struct sv scheme = sv_first(origin, n);

	return (sv_eq(scheme, SV("https")) || sv_eq(scheme, SV("http"))) && host.n &&
	       sv_eq_nocase(sv_skip(origin, n + strlen("://")), host);
}

bool site_allows(const struct site *site, struct sv origin, struct sv host)
{
	const struct config *config = site->config;
	char text[ORIGIN_LENGTH_MAX + 1];

	switch (origin_list_judge(&config->origins, origin, text)) {
	case ORIGIN_ANY:
	case ORIGIN_LISTED:
		return true;
	case ORIGIN_ABSENT:
		return !config->web.requires_origin;
	case ORIGIN_REFUSED:
		break;
	}
	return is_same_host(origin, host) && host_list_owns(&config->web.own_hosts, host);
}

/* Whether the answer depends on the Accept header: some get the page (site_answer()). */
static bool is_of_transport(const struct site *site, const struct http_exchange *exchange)
{
	return is_read(exchange) && (has_path(exchange, site->config->bosh_path) ||
				     has_path(exchange, site->config->websocket_path));
}

static void begin_headers(struct site_headers *headers, const struct site *site,
			  const struct http_exchange *exchange, bool has_text,
			  const char *cache_control)
{
	const struct site_headers_basis basis = {
		.has_text = has_text,
		.varies_by_accept = is_of_transport(site, exchange),
		.cache_control = cache_control,
	};

	site_headers_init(headers, site->config, exchange, &basis);
}

/* Answers with @text, which is encoded in @coding. Consumes the reference. */
static void answer_in(struct http_exchange *exchange, unsigned status, const char *content_type,
		      enum coding coding, struct blob *text, struct site_headers *headers)
{
	site_headers_add(headers, "Content-Encoding",
			 coding == CODING_IDENTITY ? NULL : coding_name(coding));
	http_exchange_answer(exchange, &(struct http_answer){.status = status,
							     .content_type = content_type,
							     .body = text,
							     .headers = headers->list});
}

/* Answers with @text in the coding that the client prefers. Consumes the reference. */
static void answer_text(struct http_exchange *exchange, unsigned status, const char *content_type,
			struct blob *text, struct site_headers *headers)
{
	enum coding coding =
		text ? http_exchange_choose_coding(exchange, text->n) : CODING_IDENTITY;
	struct blob *coded;

	if (coding != CODING_IDENTITY &&
	    http_exchange_encode(exchange, coding, blob_sv(text), &coded) == 0) {
		blob_unref(text);
		answer_in(exchange, status, content_type, coding, coded, headers);
	} else {
		answer_in(exchange, status, content_type, CODING_IDENTITY, text, headers);
	}
}

void site_answer_with(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *content_type, struct blob *body)
{
	struct site_headers headers;

	/* XEP-0124 leaves caching to HTTP; a cached answer would deliver the same stanzas twice. */
	begin_headers(&headers, site, exchange, body, "no-store");
	site_headers_add(&headers, "Content-Security-Policy", "default-src 'none'; sandbox");
	answer_text(exchange, status, content_type, body, &headers);
}

static bool has_tag(const struct http_exchange *exchange, const struct fixed_text *text)
{
	_cleanup_(buffer_deinit) struct buffer joined = BUFFER_INIT;
	struct sv tags;

	/* Without memory, the client gets once more what it has. */
	return http_exchange_header_list(exchange, "If-None-Match", &joined, &tags) == 0 &&
	       fixed_text_is_known(text, tags);
}

/* Answers with a text that is the same for all. Browsers ask each time whether the page has
 * changed; documents they may keep for a while. */
static void answer_fixed(const struct site *site, struct http_exchange *exchange,
			 const struct fixed_text *text)
{
	bool is_page = text == &site->fixed.texts[FIXED_PAGE];
	enum coding coding = http_exchange_choose_coding(exchange, text->in[CODING_IDENTITY]->n);
	struct site_headers headers;

	begin_headers(&headers, site, exchange, true, is_page ? "no-cache" : "max-age=300");
	site_headers_add(&headers, "ETag", text->tag);
	if (has_tag(exchange, text)) {
		http_exchange_answer(exchange,
				     &(struct http_answer){.status = 304, .headers = headers.list});
		return;
	}
	if (is_page) {
		site_headers_add(&headers, "Content-Security-Policy", site->fixed.page_policy);
		site_headers_add(&headers, "Referrer-Policy", "no-referrer");
	}
	if (!text->in[coding]) {
		coding = CODING_IDENTITY;
	}
	answer_in(exchange, 200, text->content_type, coding, blob_ref(text->in[coding]), &headers);
}

/* The methods that the path supports; NULL if there is no such path. */
static const char *methods_of(const struct site *site, const struct http_exchange *exchange)
{
	if (has_path(exchange, site->config->bosh_path)) {
		return "GET, HEAD, OPTIONS, POST";
	}
	if (has_path(exchange, "/") || has_path(exchange, site->config->websocket_path) ||
	    fixed_find(&site->fixed, http_exchange_path(exchange))) {
		return "GET, HEAD, OPTIONS";
	}
	return NULL;
}

/* WHATWG Fetch, "CORS-preflight request". Other OPTIONS requests get the same answer. */
static void answer_options(const struct site *site, struct http_exchange *exchange,
			   const char *methods)
{
	_cleanup_(buffer_deinit) struct buffer joined = BUFFER_INIT;
	char list[CORS_HEADERS_LENGTH_MAX + 1];
	struct site_headers headers;
	struct sv asked;

	if (http_exchange_header_list(exchange, "Access-Control-Request-Headers", &joined, &asked) <
	    0) {
		/* A browser would remember that the headers are refused. */
		site_answer_without_memory(site, exchange);
		return;
	}
	begin_headers(&headers, site, exchange, false, "no-store");
	site_headers_add(&headers, "Allow", methods);
	site_headers_add(&headers, "Access-Control-Allow-Methods", methods);
	site_headers_add(&headers, "Access-Control-Allow-Headers",
			 cors_headers_judge(asked, list) ? list : CORS_HEADERS_DEFAULT);
	site_headers_add(&headers, "Access-Control-Max-Age", "86400");
	if (headers.verdict == ORIGIN_LISTED && site->config->web.allows_private_network &&
	    sv_eq(http_exchange_header(exchange, "Access-Control-Request-Private-Network"),
		  SV("true"))) {
		site_headers_add(&headers, "Access-Control-Allow-Private-Network", "true");
	}
	http_exchange_answer(exchange,
			     &(struct http_answer){.status = 204, .headers = headers.list});
}

/* @allow: the methods of the path, for the Allow header; NULL: no such header. */
static void answer_sentence(const struct site *site, struct http_exchange *exchange,
			    unsigned status, const char *sentence, const char *allow)
{
	struct site_headers headers;
	struct blob *body = NULL;

	begin_headers(&headers, site, exchange, true, "no-store");
	site_headers_add(&headers, "Allow", allow);
	if (status == 426) {
		/* RFC 6455, 4.2.2; RFC 9110, 7.8. */
		site_headers_add(&headers, "Upgrade", "websocket");
		site_headers_add(&headers, "Connection", "Upgrade");
		site_headers_add(&headers, "Sec-WebSocket-Version", "13");
	}
	if (status == 415) {
		/* RFC 9110, 15.5.16. */
		site_headers_add(&headers, "Accept-Encoding",
				 site->config->coding ? "gzip, deflate" : "identity");
	}
	/* Without memory, the status says it. */
	(void)!blob_copy(sv_from(sentence), &body);
	answer_text(exchange, status, "text/plain; charset=utf-8", body, &headers);
}

void site_answer_text(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *text)
{
	answer_sentence(site, exchange, status, text, NULL);
}

void site_answer_without_memory(const struct site *site, struct http_exchange *exchange)
{
	site_answer_text(site, exchange, 503, "The gateway is out of memory.\n");
}

void site_refuse_origin(const struct site *site, struct http_exchange *exchange)
{
	struct sv origin = http_exchange_header(exchange, "Origin");
	const char *sentence = "Pages of this origin may not use this gateway; "
			       "its operator can allow them (allow_origins).\n";

	if (origin.n == 0) {
		sentence = "Only web pages may use this gateway: this request has no Origin "
			   "(require_origin).\n";
	} else if (is_same_host(origin, http_exchange_header(exchange, "Host"))) {
		sentence = "This host name is not known as the gateway's own; "
			   "its operator can add it (own_hosts).\n";
	}
	site_answer_text(site, exchange, 403, sentence);
}

/* Answers a GET or HEAD at "/" or at the path of a transport. */
static void answer_place(const struct site *site, struct http_exchange *exchange)
{
	if (has_path(exchange, "/") || wants_page(exchange)) {
		answer_fixed(site, exchange, &site->fixed.texts[FIXED_PAGE]);
	} else if (has_path(exchange, site->config->bosh_path)) {
		site_answer_text(site, exchange, 200, "XMPP over BOSH\n");
	} else {
		site_answer_text(site, exchange, 200, "XMPP over WebSocket\n");
	}
}

/* Whether If-Match is false. It compares strongly (RFC 9110, 13.1.1), and a weak tag never matches
 * then; the gateway has weak tags only. */
static bool has_other_tag(const struct http_exchange *exchange)
{
	struct sv tags = http_exchange_header(exchange, "If-Match");

	return tags.n && !sv_eq(tags, SV("*"));
}

static void answer_read(const struct site *site, struct http_exchange *exchange)
{
	const struct fixed_text *text = fixed_find(&site->fixed, http_exchange_path(exchange));

	if (has_other_tag(exchange)) {
		answer_sentence(site, exchange, 412, "This is not what you have.\n", NULL);
	} else if (text) {
		answer_fixed(site, exchange, text);
	} else {
		answer_place(site, exchange);
	}
}

/* Whether the method is one that HTTP defines. Others get 501 at any path (RFC 9110, 9.1). So does
 * CONNECT, because the gateway is no proxy. */
static bool is_known_method(const struct http_exchange *exchange)
{
	static const struct sv known[] = {
		SV_INIT("GET"), SV_INIT("HEAD"),   SV_INIT("POST"),  SV_INIT("OPTIONS"),
		SV_INIT("PUT"), SV_INIT("DELETE"), SV_INIT("TRACE"), SV_INIT("PATCH"),
	};

	for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
		if (has_method(exchange, known[i])) {
			return true;
		}
	}
	return false;
}

/* A preflight for a path that is not there succeeds, so that the page can read the 404 behind
 * it. */
static bool is_preflight(const struct http_exchange *exchange)
{
	return has_method(exchange, SV("OPTIONS")) &&
	       http_exchange_header(exchange, "Access-Control-Request-Method").n;
}

/* A question about the server as a whole (RFC 9110, 9.3.7). */
static bool is_about_server(const struct http_exchange *exchange)
{
	return has_method(exchange, SV("OPTIONS")) && has_path(exchange, "*");
}

void site_answer(const struct site *site, struct http_exchange *exchange)
{
	const char *methods = methods_of(site, exchange);

	if (!is_known_method(exchange)) {
		answer_sentence(site, exchange, 501, "This method is not known here.\n", NULL);
	} else if (!methods && (is_preflight(exchange) || is_about_server(exchange))) {
		answer_options(site, exchange, "GET, HEAD, OPTIONS, POST");
	} else if (!methods) {
		answer_sentence(site, exchange, 404, "There is nothing here.\n", NULL);
	} else if (has_method(exchange, SV("OPTIONS"))) {
		answer_options(site, exchange, methods);
	} else if (is_post_of_bosh(site, exchange)) {
		answer_sentence(site, exchange, 415, "This content coding is not spoken here.\n",
				NULL);
	} else if (is_read(exchange)) {
		answer_read(site, exchange);
	} else {
		answer_sentence(site, exchange, 405, "This path does not take that method.\n",
				methods);
	}
}
