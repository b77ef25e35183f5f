/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The web pages that may use the gateway: CORS for BOSH (WHATWG Fetch) and the Origin header for
 * WebSocket (RFC 6455, 10.2).
 *
 * origin  scheme, host and port as the browser sends them: "https://chat.example.org",
 *         "http://localhost:8080"
 */
#include <stdbool.h>

#include "common/sv.h"

struct origin_list {
	char **origins; /* owned, in lower case; NULL when any origin is allowed */
	size_t n_origins;
	bool any;
};

/* Makes the list from @n texts; "*" allows all origins. The default port of a scheme is dropped, as
 * browsers do. Refused are paths, wildcards in the host, letters outside ASCII (browsers send
 * A-labels), and "null", which every sandboxed frame of every page sends. Returns 0, -ENOMEM, or
 * -EINVAL; then *ret_bad is the index of the first text that is refused. */
_must_check_ int origin_list_init(struct origin_list *list, const char *const *texts, size_t n,
				  size_t *ret_bad);
void origin_list_deinit(struct origin_list *list);

/* Whether a page from @origin may use the gateway. A client without an Origin (empty @origin) may:
 * it is not a browser. */
bool origin_list_allows(const struct origin_list *list, struct sv origin);

/* The value of Access-Control-Allow-Origin for a request from @origin: "*" when all are allowed,
 * the origin when it is in the list (borrowed from @list, never the client's bytes), or NULL for no
 * such header. */
const char *origin_list_header(const struct origin_list *list, struct sv origin);
