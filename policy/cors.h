/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The answer to a CORS preflight (WHATWG Fetch, "CORS-preflight request"): which headers a page may
 * send. The gateway gives no meaning to headers of a page, so an allowed page may send all that it
 * asks for: credentials for a proxy in front, identifiers for tracing.
 */
#include <stdbool.h>

#include "common/sv.h"

enum {
	/* Bytes and names of the list that is repeated to the page. What a client writes must not
	 * make the head of an answer large. */
	CORS_HEADERS_LENGTH_MAX = 1024,
	CORS_HEADERS_MAX = 64,
};

/* Allowed when a page does not say what it wants to send, and to plug-ins. */
#define CORS_HEADERS_DEFAULT "Content-Type, Content-Encoding, X-Requested-With, Authorization"

/* Writes the names in @asked, the value of Access-Control-Request-Headers, separated by ", ".
 * Returns false if there are none, too many, or something that is not the name of a header (RFC
 * 9110, 5.6.2); then @ret_list is empty. */
bool cors_headers_judge(struct sv asked, char ret_list[static CORS_HEADERS_LENGTH_MAX + 1]);
