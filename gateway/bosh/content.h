/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The media type of a session's answers (XEP-0124, "Session Creation Request": `content`). Some clients take only some types; so there is
 * a choice, but it is ours: nothing that a client wrote ever stands in a header, and no type is in the list that a browser would run as a
 * page.
 */
#include "common/sv.h"

/* What everybody gets who does not ask, or asks for what is not in the list. */
#define BOSH_CONTENT_DEFAULT "text/xml; charset=utf-8"

/* The header's value for @wish, a media type with or without a charset, which must be utf-8. Never NULL, never freed. */
const char *bosh_content_type(struct sv wish);
