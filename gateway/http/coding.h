/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * HTTP content coding (RFC 9110, 8.4.1 and 12.5.3), over zlib, as an engine: headers and bytes in, bytes out.
 *
 * coding  how a text is written: as it is (identity), gzip (RFC 1952) or deflate, which is the zlib format (RFC 1950);
 *         requests of old clients that send bare RFC 1951 under that name are understood, too
 * plain   the text itself
 * coded   the text in a coding
 * wish    what Accept-Encoding says of a coding: its weight in thousandths, 0 for "not that one"
 * coder   what one worker keeps of zlib, made when it is first needed: about 200 KB to code, 40 KB to take a coding
 *         off, and what CODING_TEXT_MAX bytes are coded into
 *
 * Why nothing is coded unless the operator wants it (`compression`): the length of a coded answer tells how much its
 * parts have in common (CRIME, BREACH). Whoever can send stanzas to a user, and sees the length of what the gateway
 * sends that user, also within TLS, may guess at what else is in the same answer: a message of somebody else, a roster,
 * a page of an archive that the client asks for again and again. It takes an eavesdropper who is also a correspondent,
 * and a secret that is sent many times. Each answer is coded by itself, with nothing remembered of those before, so
 * nothing leaks from one into the next; what is sent during login is new each time, beside no stanza of anybody, and
 * mostly shorter than CODING_TEXT_MIN. Padding of random length would only make the guessing longer. The second
 * reason is CPU: coding 2 KB costs as much as all the rest of a round trip.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/blob.h"
#include "common/buffer.h"
#include "common/sv.h"

#define CODINGS(X)                                                                                 \
	X(IDENTITY, "identity")                                                                    \
	X(GZIP, "gzip")                                                                            \
	X(DEFLATE, "deflate")

enum coding {
#define X(id, name) CODING_##id,
	CODINGS(X)
#undef X
	CODING_COUNT,
	CODING_UNKNOWN = CODING_COUNT,
};

enum coding_result {
	CODING_OK,
	CODING_E_CORRUPT,   /* broken, cut off, or with something behind its end */
	CODING_E_TOO_LARGE, /* more text than was allowed, or more blocks than there is text for */
};

enum {
	/* A shorter text goes in one TCP segment with its headers, coded or not: coding would gain nothing. Not a key:
	 * this does not depend on who runs the gateway. */
	CODING_TEXT_MIN = 1024,
	/* Coding takes about a millisecond for that. A client that asks for a repeat of a long answer over and over
	 * would hold up all other sessions of the worker at the cost of a small request each time. */
	CODING_TEXT_MAX = 128 * 1024,
	/* Eleven bytes of a block that brings no text can make zlib build tables for a microsecond: a request of
	 * nothing else would take forty times as long as one that is full of text. So many blocks are free, and one
	 * more for each piece of text of that size. No coder in use makes smaller ones: zlib's smallest (memLevel 1)
	 * have 127 symbols. Members of a gzip count, too. */
	CODING_BLOCKS_FREE = 64,
	CODING_BLOCK_TEXT = 64,
};

/* As it stands in headers. */
const char *coding_name(enum coding coding);

/* The coding of a body whose headers so far said @coding (at first CODING_IDENTITY), when one more Content-Encoding
 * says @value. CODING_UNKNOWN when it is not spoken here, or when there are several, one over the other. A media type,
 * which some clients put there, says nothing. */
enum coding coding_add(enum coding coding, struct sv value);

/* What a client would take. All zero: it said nothing. */
struct coding_wishes {
	struct coding_wish {
		bool named;
		uint16_t weight;
	} of[CODING_COUNT], others; /* others: "*" */
};

/* Takes a header Accept-Encoding in; there may be several. What is not of RFC 9110's syntax is a wish to go without. */
void coding_wishes_add(struct coding_wishes *wishes, struct sv accept_encoding);

/* The coding for an answer of @n bytes. The client's weights decide, between equals gzip before deflate before
 * identity. A size out of CODING_TEXT_* is not worth coding, unless, below it, the client refuses identity. Never
 * CODING_UNKNOWN: a client that refuses all gets identity, for an answer must not be lost (RFC 9110, 12.4.1, allows
 * it). */
enum coding coding_choose(const struct coding_wishes *wishes, size_t n);

struct coder;

/* Returns 0 or -ENOMEM. */
_must_check_ int coder_new(struct coder **ret_coder);
struct coder *coder_free(struct coder *coder);

/* *ret_coded is @plain, which is not longer than CODING_TEXT_MAX, in gzip or deflate: a reference of the caller's.
 * Returns 0 or -ENOMEM. */
_must_check_ int coder_encode(struct coder *coder, enum coding coding, struct sv plain, struct blob **ret_coded);

/* Appends the text of @coded, which is gzip or deflate, to the empty *ret_plain: never more than @n_max + 1 bytes, so
 * that a small request that says it is gigabytes is stopped there. A gzip may have several members (RFC 1952, 2.2):
 * their texts follow each other, and the bounds are for all together. Whatever the result, *ret_plain has the text up
 * to there and is the caller's to deinitialise. Returns CODING_OK, CODING_E_*, or -ENOMEM. */
_must_check_ int coder_decode(struct coder *coder, enum coding coding, struct sv coded, size_t n_max,
			      struct buffer *ret_plain);
