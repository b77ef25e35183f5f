/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The media type of a session's answers (XEP-0124, "Session Creation Request": `content`). A client
 * may choose from a list. Nothing that a client wrote ever stands in a header.
 *
 * Some of the types are those of pages. What makes the answers inert are their headers
 * (http/site.h): a Content-Security-Policy that allows neither scripts nor forms nor any load, and
 * nosniff.
 */
#include "common/sv.h"

/* For clients that choose none, or one that is not on the list. */
#define BOSH_CONTENT_DEFAULT "text/xml; charset=utf-8"

/* The value of the Content-Type header for @wish, a media type. A charset in it must be utf-8.
 * Never NULL, never freed. */
const char *bosh_content_type(struct sv wish);
