/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The texts that are the same for all clients: the test page and the documents of policy/. They are
 * made once from the configuration, and encoded once in each content coding.
 *
 * fixed text  one of them
 * tag         the ETag of a fixed text, so that a client that has it already need not get it again
 *             (RFC 9110, 8.8.3). It is a weak one, because all codings share it
 */
#include "common/blob.h"
#include "common/sv.h"
#include "gateway/config/config.h"
#include "gateway/http/coding.h"

enum {
	/* W/"" and 64 bits of a hash in hexadecimal digits. */
	FIXED_TAG_SIZE = sizeof("W/\"0123456789abcdef\""),
};

enum fixed_id {
	FIXED_PAGE,
	FIXED_CROSSDOMAIN,
	FIXED_CLIENTACCESS,
	FIXED_HOST_META,
	FIXED_HOST_META_JSON,
	FIXED_FLASH_SOCKETS,
	FIXED_SILVERLIGHT_SOCKETS,
	FIXED_COUNT
};

struct fixed_text {
	const char *content_type;
	/* Where it is served by HTTP. NULL for the page, which has several places, and for the
	 * socket policies, which have none. */
	const char *path;
	/* IDENTITY is NULL if there is no such text, another if coding is not worth it. */
	struct blob *in[CODING_COUNT];
	char tag[FIXED_TAG_SIZE];
};

struct fixed {
	struct fixed_text texts[FIXED_COUNT];
	char *page_policy; /* the page's Content-Security-Policy */
};

/* Returns 0 or -ENOMEM; fixed_deinit() is allowed after both. */
_must_check_ int fixed_init(struct fixed *fixed, const struct config *config);
void fixed_deinit(struct fixed *fixed);

/* The text at @path (compared by http_path_eq()), or NULL. */
const struct fixed_text *fixed_find(const struct fixed *fixed, struct sv path);

/* Whether @tags, the value of If-None-Match, has the tag of @text. */
bool fixed_text_is_known(const struct fixed_text *text, struct sv tags);
