/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * From which web pages the gateway may be used: CORS for BOSH (WHATWG Fetch), the Origin header for
 * WebSocket (RFC 6455, 10.2).
 *
 * origin  "https://chat.example.org", "http://localhost:8080": scheme, host, port; as the browser sends it
 */
#include <stdbool.h>

#include "common/sv.h"

struct origin_list {
	char **origins; /* owned, lower case; NULL when any origin will do */
	size_t n_origins;
	bool any;
};

/* Makes the list from @n texts; "*" allows all. A port that is the scheme's own is dropped, as browsers do.
 * No origin: a path, a wildcard in the host, letters outside ASCII (browsers send A-labels), and "null", which every
 * sandboxed frame of every page sends. Returns 0, -ENOMEM, or -EINVAL with *ret_bad the index
 * of the first text that is no origin. */
_must_check_ int origin_list_init(struct origin_list *list, const char *const *texts, size_t n,
				  size_t *ret_bad);
void origin_list_deinit(struct origin_list *list);

/* Whether a page of @origin may use the gateway. An absent Origin (empty @origin: not a browser) may. */
bool origin_list_allows(const struct origin_list *list, struct sv origin);

/* The value of Access-Control-Allow-Origin for a request with @origin: "*" when all are allowed, the
 * listed origin (borrowed from @list, never the client's bytes) when it is in the list, else NULL: no header. */
const char *origin_list_header(const struct origin_list *list, struct sv origin);
