/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * String view: bytes that somebody else owns, with their length. Never NUL-terminated by promise,
 * so no function of this header looks past the end. Copying the struct copies nothing else.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/macro.h"

struct sv {
	const char *data;
	size_t n;
};

#define SV(literal) ((struct sv){"" literal, sizeof(literal) - 1})
#define SV_EMPTY ((struct sv){NULL, 0})
/* For printf's "%.*s". */
#define SV_ARGS(view) (int)(view).n, (view).data

static inline struct sv sv_from(const char *cstring)
{
	return cstring ? (struct sv){cstring, strlen(cstring)} : SV_EMPTY;
}

static inline bool sv_eq(struct sv a, struct sv b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.data, b.data, a.n) == 0);
}

/* ASCII case only: what HTTP tokens and domain labels need, whatever the locale says. */
bool sv_eq_nocase(struct sv a, struct sv b);

static inline bool sv_starts_with(struct sv view, struct sv prefix)
{
	return view.n >= prefix.n &&
	       (prefix.n == 0 || memcmp(view.data, prefix.data, prefix.n) == 0);
}

/* The view without its first @n bytes; empty when it has not that many. */
static inline struct sv sv_skip(struct sv view, size_t n)
{
	if (n > view.n) {
		n = view.n;
	}
	return n ? (struct sv){view.data + n, view.n - n} : view;
}

static inline struct sv sv_first(struct sv view, size_t n)
{
	return (struct sv){view.data, n < view.n ? n : view.n};
}

/* Position of the first @c, or view.n when there is none. */
size_t sv_find(struct sv view, char c);

/* Position of the first @needle, or view.n. An empty @needle is at 0. */
size_t sv_find_sv(struct sv view, struct sv needle);

/* Without white space (space, tab, CR, LF) at both ends. */
struct sv sv_trim(struct sv view);

/* Takes the next item of a list separated by @separator off @rest, trimmed; items may be empty, and
 * an empty text is one empty item. False at the end. */
bool sv_split(struct sv *rest, char separator, struct sv *ret_item);

/* Whether a list of tokens separated by commas (HTTP: Connection, Upgrade, Accept-Encoding) has
 * @token, in any case. */
bool sv_has_token(struct sv list, struct sv token);

/* Strict decimal: digits only, nothing before or after, no overflow past @max.
 * Returns 0, or -EINVAL with *ret_value untouched. */
_must_check_ int sv_to_u64(struct sv view, uint64_t max, uint64_t *ret_value);
