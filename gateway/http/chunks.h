/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The framing of a chunked body (RFC 9112, 7.1). An engine: bytes go in, in pieces of any size;
 * data and the end come out.
 *
 * extra  bytes that are no data and no end of a line: zeros ahead of a size, extensions of chunks
 *        and trailers. They are discarded
 *
 * Strict, because a proxy that finds another end lets requests be smuggled: each line ends with CR
 * LF, a size is hexadecimal digits and nothing else, and extensions and trailers have no control
 * bytes. White space is allowed only ahead of an extension.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	/* Extra bytes of one body. Without a limit, a client could send for ever what is never part
	 * of the body, whose length is bounded. */
	CHUNKS_EXTRA_MAX = 4096,
};

enum chunks_state {
	CHUNKS_SIZE, /* no digit of a size has come */
	CHUNKS_DIGITS,
	CHUNKS_GAP, /* white space behind a size */
	CHUNKS_EXTENSION,
	CHUNKS_SIZE_LF, /* the LF of its line is missing */
	CHUNKS_DATA,
	CHUNKS_DATA_CR, /* the CR and the LF behind the data of a chunk are missing */
	CHUNKS_DATA_LF,
	CHUNKS_TRAILER, /* at the beginning of a line */
	CHUNKS_NAME,
	CHUNKS_VALUE,
	CHUNKS_TRAILER_LF,
	CHUNKS_END_LF,
	CHUNKS_END,
	CHUNKS_BAD,
};

/* Zero-initialize it before the first byte. Private to the engine. */
struct chunks {
	enum chunks_state state;
	/* The bytes of the chunk that have not come. While the line of its size is read: the digits
	 * so far, as a number. */
	uint64_t n_left;
	size_t n_extra;
};

enum chunks_result {
	CHUNKS_MORE,  /* all bytes have been consumed */
	CHUNKS_FOUND, /* *ret_data is the next part of the body */
	CHUNKS_DONE,  /* the body has ended; *bytes is what follows it */
	CHUNKS_FAULT, /* malformed, or too many extra bytes; no more may be fed */
};

/* Consumes @bytes up to the end of the next part of the body. Call it again while it returns
 * CHUNKS_FOUND. */
enum chunks_result chunks_feed(struct chunks *chunks, struct sv *bytes, struct sv *ret_data);
