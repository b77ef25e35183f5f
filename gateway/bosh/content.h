/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The media type of a session's answers (XEP-0124, "Session Creation Request": `content`). A client
 * may choose from a short list. Nothing that a client wrote ever stands in a header, and no type is
 * in the list that a browser would run as a page.
 */
#include "common/sv.h"

/* For clients that choose none, or one that is not in the list. */
#define BOSH_CONTENT_DEFAULT "text/xml; charset=utf-8"

/* The value of the Content-Type header for @wish, a media type. A charset in it must be utf-8.
 * Never NULL, never freed. */
const char *bosh_content_type(struct sv wish);
