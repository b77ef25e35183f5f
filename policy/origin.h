/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The web pages that may use the gateway. One list decides for CORS (WHATWG Fetch), for the Origin
 * header of WebSocket (RFC 6455, 10.2) and for the documents of plug-ins (documents.h).
 *
 * origin   scheme, host and port as the browser sends them: "https://chat.example.org",
 *          "http://localhost:8080". The default port of a scheme is left out
 * pattern  an entry of the list: an origin, whose host may be a pattern ("*.example.org", host.h)
 *          and whose port may be "*" ("http://localhost:*", any port)
 * opaque   "null", the origin of sandboxed frames, of any page, and of files. No pattern matches it
 */
#include <stdbool.h>

#include "policy/host.h"

enum {
	/* A scheme, "://", a host and a port. A longer text is not an origin. */
	ORIGIN_LENGTH_MAX = 320,
};

struct origin_pattern {
	char *scheme; /* owned; in lower case */
	struct host_pattern host;
	uint16_t port; /* 0: the default of the scheme, or none */
	bool allows_any_port;
};

struct origin_list {
	struct origin_pattern *patterns; /* owned */
	size_t n_patterns;
	bool allows_any; /* "*" is in the list, perhaps beside patterns */
};

/* What the list says about a request. */
enum origin_verdict {
	ORIGIN_REFUSED,
	ORIGIN_ABSENT, /* there is no Origin header: it was not sent by a page */
	ORIGIN_ANY,    /* no pattern matches, but all origins are allowed */
	ORIGIN_LISTED, /* a pattern matches */
};

/* Makes the list from @n texts. "*" allows all origins. Refused are paths, names without a scheme,
 * "*" in place of a whole host, and "null": it stands for every page there is. Returns 0, -ENOMEM,
 * or -EINVAL; then *ret_bad is the index of the first text that is refused. */
_must_check_ int origin_list_init(struct origin_list *list, const char *const *texts, size_t n,
				  size_t *ret_bad);
void origin_list_deinit(struct origin_list *list);

/* Judges @origin, the value of an Origin header. If the verdict is ORIGIN_LISTED, @ret_text is the
 * origin as browsers write it, for Access-Control-Allow-Origin; it consists of letters, digits and
 * ":/.-_+[]" only. Otherwise it is empty. */
enum origin_verdict origin_list_judge(const struct origin_list *list, struct sv origin,
				      char ret_text[static ORIGIN_LENGTH_MAX + 1]);

/* Whether what the list says depends on the origin. */
static inline bool origin_list_varies(const struct origin_list *list)
{
	return !list->allows_any || list->n_patterns;
}
