/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A token of which only the beginning has arrived. expat reads an incomplete token again from its
 * beginning with each piece that it is given, so one long tag in small pieces would cost quadratic
 * work. What cannot complete the token is therefore held back until the byte has come that can.
 *
 * Private to common/xml-*.c.
 *
 * token   a tag or a reference in the content of an element, or the beginning of what is refused.
 *         Others are short, or expat reports what has arrived of them
 * end     the byte that may complete it: ">" outside quotes, ">" behind "?", or what cannot be
 *         part of a reference. Only a guess: expat judges what it is given then
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/sv.h"

enum {
	/* A shorter token is given to expat as it arrives, so that a mistake in it is reported at
	 * once. */
	XML_TOKEN_LONG = 256,
	/* Bytes of a run of "]" or CR that are given to expat at once. With one byte at a time such
	 * a run cost twenty times as much behind a cut within it: expat waits for the next byte
	 * after each of them. */
	XML_TOKEN_SHORT = 16,
};

enum xml_token_kind {
	XML_TOKEN_NONE,        /* expat is between two tokens */
	XML_TOKEN_NEW,         /* "<" alone */
	XML_TOKEN_TAG,         /* a start tag */
	XML_TOKEN_END_TAG,     /* has no quotes */
	XML_TOKEN_REFERENCE,   /* "&" */
	XML_TOKEN_OTHER,       /* a part of a character, a CR, "]": given byte by byte */
	XML_TOKEN_BANG,        /* "<!" or "<!-" */
	XML_TOKEN_COMMENT,     /* "<!--" */
	XML_TOKEN_INSTRUCTION, /* "<?" */
};

struct xml_token {
	enum xml_token_kind kind;
	size_t n; /* bytes that have arrived */
	size_t n_values; /* of a start tag: attribute values that have ended */
	union {
		char quote;  /* in a tag: the quote of the open attribute value, or 0 */
		char before; /* in an instruction: its last byte so far */
	};
};

/* @bytes are all that has arrived of a token. */
void xml_token_begin(struct xml_token *token, struct sv bytes);

/* @bytes follow. Returns how many of them are to be given to expat now, from the first one on; the
 * token is then taken to go on behind them. 0: none, they are to be held. */
size_t xml_token_go_on(struct xml_token *token, struct sv bytes);
