/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * String view: bytes that somebody else owns, with their length. They need not end with a NUL, so
 * no function of this header reads past the end. Copying the struct does not copy the bytes.
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

/* For the initializer of a static object; elsewhere use SV(). */
#define SV_INIT(literal)                        \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}
#define SV(literal) ((struct sv)SV_INIT(literal))
#define SV_EMPTY ((struct sv){NULL, 0})
/* The arguments of printf() for "%.*s". */
#define SV_ARGS(view) (int)(view).n, (view).data

static inline struct sv sv_from(const char *cstring)
{
	return cstring ? (struct sv){cstring, strlen(cstring)} : SV_EMPTY;
}

static inline bool sv_eq(struct sv a, struct sv b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.data, b.data, a.n) == 0);
}

/* Ignores the case of ASCII letters only, as for HTTP tokens and domain labels, in any locale. */
bool sv_eq_nocase(struct sv a, struct sv b);

static inline bool sv_starts_with(struct sv view, struct sv prefix)
{
	return view.n >= prefix.n &&
	       (prefix.n == 0 || memcmp(view.data, prefix.data, prefix.n) == 0);
}

/* The view without its first @n bytes; empty if it has no more than that. */
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

/* The position of the first @c, or view.n if there is none. */
size_t sv_find(struct sv view, char c);

/* The position of the first @needle, or view.n if there is none. An empty @needle is at 0. */
size_t sv_find_sv(struct sv view, struct sv needle);

static inline bool sv_has(struct sv view, char c)
{
	return sv_find(view, c) < view.n;
}

/* Whether @needle, which is not empty, stands in @view. */
static inline bool sv_contains(struct sv view, struct sv needle)
{
	return sv_find_sv(view, needle) < view.n;
}

/* Whether one of the views begins with the other: @view is the beginning of @whole, or has all of
 * it. */
static inline bool sv_may_become(struct sv view, struct sv whole)
{
	return sv_starts_with(view.n < whole.n ? whole : view, view.n < whole.n ? view : whole);
}

/* The view without white space (space, tab, CR, LF) at either end. */
struct sv sv_trim(struct sv view);

/* Removes the next item of a list separated by @separator from @rest and returns it trimmed. Items
 * may be empty; an empty text is one empty item. Returns false at the end. */
bool sv_split(struct sv *rest, char separator, struct sv *ret_item);

/* Whether a list of tokens separated by commas (as in the HTTP headers Connection and Upgrade)
 * contains @token, ignoring case. */
bool sv_has_token(struct sv list, struct sv token);

/* Reads a decimal number of digits only, at most @max. Returns 0, or -EINVAL when @view is anything
 * else. */
_must_check_ int sv_to_u64(struct sv view, uint64_t max, uint64_t *ret_value);
