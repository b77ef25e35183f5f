/* SPDX-License-Identifier: MIT */
#include "gateway/http/site.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/http/document.h"
#include "gateway/peek.h"
#include "policy/documents.h"

enum {
	/* Names and values of up to ten headers, and the terminating NULL. */
	SITE_HEADERS_MAX = 2 * 10 + 1,
};

/* A text that is the same for all clients. It is encoded once in each content coding; NULL where
 * that is not worth it. */
struct document {
	struct blob *in[CODING_COUNT];
};

struct site {
	const struct config *config;
	struct document page, crossdomain, clientaccess;
	char *page_policy;
};

struct headers {
	const char *list[SITE_HEADERS_MAX];
	size_t n;
	char origin[ORIGIN_LENGTH_MAX + 1];
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
		r = documents_clientaccesspolicy(&config->origins,
						 peek_without_slash(sv_from(config->bosh_path)),
						 &clientaccess);
	}
	if (r == 0) {
		r = blob_from(&crossdomain, &site->crossdomain.in[CODING_IDENTITY]);
	}
	return r < 0 ? r : blob_from(&clientaccess, &site->clientaccess.in[CODING_IDENTITY]);
}

static int document_encode(struct document *document, struct coder *coder)
{
	struct sv plain = blob_sv(document->in[CODING_IDENTITY]);
	int r = 0;

	if (plain.n < CODING_TEXT_MIN || plain.n > CODING_TEXT_MAX) {
		return 0;
	}
	for (enum coding coding = CODING_IDENTITY + 1; r == 0 && coding < CODING_COUNT; coding++) {
		r = coder_encode(coder, coding, plain, &document->in[coding]);
	}
	return r;
}

static int encode_documents(struct site *site)
{
	struct document *documents[] = {&site->page, &site->crossdomain, &site->clientaccess};
	struct coder *coder;
	int r = coder_new(&coder);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(documents); i++) {
		r = document_encode(documents[i], coder);
	}
	coder_free(coder);
	return r;
}

static void document_deinit(struct document *document)
{
	for (size_t i = 0; i < CODING_COUNT; i++) {
		blob_unref(document->in[i]);
	}
}

int site_new(const struct config *config, struct site **ret_site)
{
	struct site *site = calloc(1, sizeof(*site));

	if (!site) {
		return -ENOMEM;
	}
	site->config = config;
	int r = document_page(config, &site->page.in[CODING_IDENTITY], &site->page_policy);

	if (r == 0) {
		r = make_policies(site);
	}
	if (r == 0 && config->coding) {
		r = encode_documents(site);
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
	document_deinit(&site->page);
	document_deinit(&site->crossdomain);
	document_deinit(&site->clientaccess);
	free(site->page_policy);
	free(site);
	return NULL;
}

static bool has_path(const struct http_exchange *exchange, const char *path)
{
	return sv_eq(peek_without_slash(http_exchange_path(exchange)),
		     peek_without_slash(sv_from(path)));
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

enum site_route site_route(const struct site *site, const struct http_exchange *exchange)
{
	const struct config *config = site->config;

	if (is_post_of_bosh(site, exchange)) {
		return http_exchange_is_coded_otherwise(exchange) ? SITE_ROUTE_OTHER
								  : SITE_ROUTE_BOSH;
	}
	if (has_path(exchange, config->bosh_path)) {
		return is_read(exchange) ? SITE_ROUTE_PAGE : SITE_ROUTE_OTHER;
	}
	if (has_path(exchange, config->websocket_path) && is_read(exchange)) {
		return http_exchange_header(exchange, "Upgrade").n &&
				       has_method(exchange, SV("GET"))
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
	char text[ORIGIN_LENGTH_MAX + 1];

	return own || origin_list_judge(&site->config->origins, origin, text) != ORIGIN_REFUSED;
}

/* The value of the Vary header: what the answer depends on besides its path. NULL: no header. */
static const char *vary(const struct site *site, bool has_text)
{
	bool is_coded = has_text && site->config->coding;

	if (!origin_list_varies(&site->config->origins)) {
		return is_coded ? "Accept-Encoding" : NULL;
	}
	return is_coded ? "Origin, Accept-Encoding" : "Origin";
}

/* Adds the headers of every answer. XEP-0124 leaves caching to HTTP; a cached answer would deliver
 * the same stanzas twice. */
static void headers_common(struct headers *headers, const struct site *site,
			   const struct http_exchange *exchange, bool has_text)
{
	const struct origin_list *origins = &site->config->origins;
	enum origin_verdict verdict = origin_list_judge(
		origins, http_exchange_header(exchange, "Origin"), headers->origin);

	if (verdict == ORIGIN_LISTED) {
		headers_add(headers, "Access-Control-Allow-Origin", headers->origin);
	} else if (origins->any) {
		headers_add(headers, "Access-Control-Allow-Origin", "*");
	}
	headers_add(headers, "Vary", vary(site, has_text));
	headers_add(headers, "X-Content-Type-Options", "nosniff");
	headers_add(headers, "Cache-Control", "no-store");
}

/* Answers with @text, which is encoded in @coding. Consumes the reference. */
static void answer_in(struct http_exchange *exchange, unsigned status, const char *content_type,
		      enum coding coding, struct blob *text, struct headers *headers)
{
	headers_add(headers, "Content-Encoding",
		    coding == CODING_IDENTITY ? NULL : coding_name(coding));
	http_exchange_answer(exchange, &(struct http_answer){.status = status,
							     .content_type = content_type,
							     .body = text,
							     .headers = headers->list});
}

/* Answers with @text in the coding that the client prefers. Consumes the reference. */
static void answer_text(struct http_exchange *exchange, unsigned status, const char *content_type,
			struct blob *text, struct headers *headers)
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

static void answer_document(struct http_exchange *exchange, const char *content_type,
			    const struct document *document, struct headers *headers)
{
	enum coding coding =
		http_exchange_choose_coding(exchange, document->in[CODING_IDENTITY]->n);

	if (!document->in[coding]) {
		coding = CODING_IDENTITY;
	}
	answer_in(exchange, 200, content_type, coding, blob_ref(document->in[coding]), headers);
}

void site_answer_with(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *content_type, struct blob *body)
{
	struct headers headers = {.n = 0};

	headers_common(&headers, site, exchange, body);
	headers_add(&headers, "Content-Security-Policy", "default-src 'none'; sandbox");
	answer_text(exchange, status, content_type, body, &headers);
}

static void answer_page(const struct site *site, struct http_exchange *exchange)
{
	struct headers headers = {.n = 0};

	headers_common(&headers, site, exchange, true);
	headers_add(&headers, "Content-Security-Policy", site->page_policy);
	headers_add(&headers, "Referrer-Policy", "no-referrer");
	answer_document(exchange, "text/html; charset=utf-8", &site->page, &headers);
}

static void answer_policy(const struct site *site, struct http_exchange *exchange)
{
	bool cross = has_path(exchange, "/crossdomain.xml");
	const struct document *policy = cross ? &site->crossdomain : &site->clientaccess;
	struct headers headers = {.n = 0};

	headers_common(&headers, site, exchange, true);
	answer_document(exchange, "text/xml; charset=utf-8", policy, &headers);
}

/* The methods that the path supports; NULL if there is no such path. */
static const char *methods_of(const struct site *site, const struct http_exchange *exchange)
{
	if (has_path(exchange, site->config->bosh_path)) {
		return "GET, HEAD, OPTIONS, POST";
	}
	if (has_path(exchange, "/") || has_path(exchange, site->config->websocket_path) ||
	    has_path(exchange, "/crossdomain.xml") ||
	    has_path(exchange, "/clientaccesspolicy.xml")) {
		return "GET, HEAD, OPTIONS";
	}
	return NULL;
}

/* WHATWG Fetch, "CORS-preflight request". Other OPTIONS requests get the same answer. */
static void answer_options(const struct site *site, struct http_exchange *exchange,
			   const char *methods)
{
	struct headers headers = {.n = 0};

	headers_common(&headers, site, exchange, false);
	headers_add(&headers, "Allow", methods);
	headers_add(&headers, "Access-Control-Allow-Methods", methods);
	headers_add(&headers, "Access-Control-Allow-Headers",
		    "Content-Type, Content-Encoding, X-Requested-With");
	headers_add(&headers, "Access-Control-Max-Age", "86400");
	http_exchange_answer(exchange,
			     &(struct http_answer){.status = 204, .headers = headers.list});
}

/* @allow: the methods of the path, for the Allow header; NULL: no such header. */
static void answer_sentence(const struct site *site, struct http_exchange *exchange,
			    unsigned status, const char *sentence, const char *allow)
{
	struct headers headers = {.n = 0};
	struct blob *body;
	size_t n = strlen(sentence);

	headers_common(&headers, site, exchange, true);
	headers_add(&headers, "Allow", allow);
	if (status == 426) {
		/* RFC 6455, 4.2.2. */
		headers_add(&headers, "Upgrade", "websocket");
		headers_add(&headers, "Sec-WebSocket-Version", "13");
	}
	if (status == 415) {
		/* RFC 9110, 15.5.16. */
		headers_add(&headers, "Accept-Encoding",
			    site->config->coding ? "gzip, deflate" : "identity");
	}
	if (blob_new(n, &body) < 0) {
		body = NULL;
	} else {
		memcpy(body->data, sentence, n);
	}
	answer_text(exchange, status, "text/plain; charset=utf-8", body, &headers);
}

void site_answer_text(const struct site *site, struct http_exchange *exchange, unsigned status,
		      const char *text)
{
	answer_sentence(site, exchange, status, text, NULL);
}

void site_refuse_origin(const struct site *site, struct http_exchange *exchange)
{
	site_answer_text(site, exchange, 403,
			 "Pages of this origin may not use this gateway; "
			 "its operator can allow them (allow_origins).\n");
}

void site_answer(const struct site *site, struct http_exchange *exchange)
{
	const char *methods = methods_of(site, exchange);

	if (site_route(site, exchange) == SITE_ROUTE_PAGE) {
		answer_page(site, exchange);
	} else if (!methods) {
		answer_sentence(site, exchange, 404, "There is nothing here.\n", NULL);
	} else if (has_method(exchange, SV("OPTIONS"))) {
		answer_options(site, exchange, methods);
	} else if (is_post_of_bosh(site, exchange)) {
		answer_sentence(site, exchange, 415, "This content coding is not spoken here.\n",
				NULL);
	} else if (!is_read(exchange)) {
		answer_sentence(site, exchange, 405, "This path does not take that method.\n",
				methods);
	} else {
		answer_policy(site, exchange);
	}
}
