/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * HTTP content coding (RFC 9110, 8.4.1 and 12.5.3): which codings there are, and which one an
 * answer gets. An engine. coder.h encodes and decodes.
 *
 * coding  the encoding of a body: identity (as it is), gzip (RFC 1952) or deflate, which is the
 *         zlib format (RFC 1950). Requests of old clients that send bare RFC 1951 as "deflate" are
 *         understood, too
 * wish    what Accept-Encoding says about a coding: its weight in thousandths, 0 for "not this one"
 *
 * Answers are encoded only if the operator enables it (`compression`), because the length of a
 * compressed answer depends on how much its parts have in common (CRIME, BREACH). An attacker who
 * can send stanzas to a user and can see the length of what the gateway sends to that user, even
 * within TLS, can guess other parts of the same answer: a message from somebody else, a roster, a
 * page of an archive that the client requests again and again. The attacker has to be a
 * correspondent and an eavesdropper, and the secret has to be sent many times. Each answer is
 * compressed on its own, so nothing leaks from one answer to the next. What is sent during login is
 * new each time, is not mixed with stanzas from others, and is mostly shorter than CODING_TEXT_MIN.
 * Padding of random length would only make the attack take longer. The second reason is CPU time:
 * compressing 2 KB costs as much as the rest of a round trip.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/sv.h"

#define CODINGS(X)              \
	X(IDENTITY, "identity") \
	X(GZIP, "gzip")         \
	X(DEFLATE, "deflate")

enum coding {
#define X(id, name) CODING_##id,
	CODINGS(X) CODING_COUNT,
#undef X
	CODING_UNKNOWN = CODING_COUNT,
};

enum {
	/* A shorter text fits into one TCP segment with its headers, coded or not, so coding would
	 * gain nothing. Not a configuration key, because it is the same for every operator. */
	CODING_TEXT_MIN = 1024,
	/* Coding that much takes about a millisecond. Without a limit, a client that requests a
	 * long answer again and again could delay all sessions of the worker with small
	 * requests. */
	CODING_TEXT_MAX = 128 * 1024,
};

/* The name in headers. */
const char *coding_name(enum coding coding);

/* Adds a Content-Encoding header with @value to those before it, which gave @coding (at first
 * CODING_IDENTITY). Returns CODING_UNKNOWN for a coding that is not supported, or for several on
 * top of each other. A media type and the name of a character set or of a transfer encoding, which
 * some clients send here, are ignored. */
enum coding coding_add(enum coding coding, struct sv value);

/* The codings that a client accepts. All zero when it has not sent the header. */
struct coding_wishes {
	struct coding_wish {
		bool is_named;
		uint16_t weight;
	} of[CODING_COUNT], others; /* others: "*" */
};

/* Adds an Accept-Encoding header; there may be several. A coding with a malformed weight counts as
 * not accepted. */
void coding_wishes_add(struct coding_wishes *wishes, struct sv accept_encoding);

/* The coding for an answer of @n bytes. The client's weights decide; with equal weights, gzip comes
 * before deflate, and deflate before identity. Answers outside CODING_TEXT_MIN to CODING_TEXT_MAX
 * are not coded, except short ones for a client that refuses identity. Never CODING_UNKNOWN: a
 * client that refuses everything gets identity, because an answer must not be lost (RFC 9110,
 * 12.4.1, allows it). */
enum coding coding_choose(const struct coding_wishes *wishes, size_t n);
