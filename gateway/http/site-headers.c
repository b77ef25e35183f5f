/* SPDX-License-Identifier: MIT */
#include "gateway/http/site-headers.h"

#include <stdio.h>

void site_headers_add(struct site_headers *headers, const char *name, const char *value)
{
	if (value) {
		headers->list[headers->n++] = name;
		headers->list[headers->n++] = value;
		headers->list[headers->n] = NULL;
	}
}

/* Adds the Vary header: what the answer depends on besides its path. */
static void vary(struct site_headers *headers, const struct config *config,
		 const struct site_headers_basis *basis)
{
	const struct {
		const char *name;
		bool varies;
	} parts[] = {
		{"Origin", origin_list_varies(&config->origins)},
		{"Accept-Encoding", basis->has_text && config->coding},
		{"Accept", basis->varies_by_accept},
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		if (parts[i].varies) {
			n += (size_t)snprintf(headers->vary + n, sizeof(headers->vary) - n, "%s%s",
					      n ? ", " : "", parts[i].name);
		}
	}
	site_headers_add(headers, "Vary", n ? headers->vary : NULL);
}

/* WHATWG Fetch, "CORS protocol". Credentials are never allowed to all pages. */
static void cors(struct site_headers *headers, const struct config *config,
		 const struct http_exchange *exchange)
{
	headers->verdict = origin_list_judge(
		&config->origins, http_exchange_header(exchange, "Origin"), headers->origin);
	if (headers->verdict == ORIGIN_LISTED) {
		site_headers_add(headers, "Access-Control-Allow-Origin", headers->origin);
		site_headers_add(headers, "Access-Control-Allow-Credentials",
				 config->web.allows_credentials ? "true" : NULL);
	} else if (config->origins.allows_any) {
		site_headers_add(headers, "Access-Control-Allow-Origin", "*");
	}
}

void site_headers_init(struct site_headers *headers, const struct config *config,
		       const struct http_exchange *exchange, const struct site_headers_basis *basis)
{
	headers->n = 0;
	headers->list[0] = NULL;
	cors(headers, config, exchange);
	vary(headers, config, basis);
	site_headers_add(headers, "X-Content-Type-Options", "nosniff");
	site_headers_add(headers, "Cache-Control", basis->cache_control);
}
