/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Checks that bytes are UTF-8 (RFC 3629) as they arrive, and cuts texts between characters.
 *
 * Errors are found as early as possible: a byte that cannot begin a character is refused at once.
 * Overlong forms, surrogates and code points above U+10FFFF are refused at their second byte.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/sv.h"

/* Inside a character: how many bytes are missing, and between which two the next one must be. All
 * zero: between two characters. */
struct utf8 {
	uint8_t n_missing, least, most;
};

/* Checks the next @bytes. Returns false if they can be no UTF-8, whatever follows; @utf8 must not
 * be used any more. */
_must_check_ bool utf8_feed(struct utf8 *utf8, struct sv bytes);

/* Whether the bytes so far end with a whole character. */
static inline bool utf8_is_whole(const struct utf8 *utf8)
{
	return utf8->n_missing == 0;
}

/* Whether @c is a byte of a character, and not the first one. */
static inline bool utf8_is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The length of the character that @bytes begins with. 0: there is none, or not all of it. */
size_t utf8_character(struct sv bytes);

/* Whether @text is UTF-8 as a whole. */
bool utf8_is_valid(struct sv text);

/* The longest beginning of @text, which is UTF-8, of at most @n_max bytes and whole characters. */
struct sv utf8_cut(struct sv text, size_t n_max);
