/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Feeds the same input to a parser whole, byte by byte, and cut at random points. It must report
 * the same each time. Each piece is in a heap block of exactly its size, which is freed before the
 * next piece, so that the sanitizer notices reads past the end and slices that are kept too long.
 * Included after cmocka.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

enum {
	PIECES_BYTES,
	PIECES_WHOLE,
	PIECES_RANDOM,
	PIECES_WAYS = PIECES_RANDOM + 40,
};

struct pieces {
	struct sv rest;
	unsigned way;
	uint32_t random; /* state of a linear congruential generator, seeded by the way */
	char *copy;
};

/* Writes what the parser reports about the pieces to @log. */
typedef void pieces_run(struct pieces *pieces, struct buffer *log, void *userdata);

static inline size_t pieces_random(struct pieces *pieces, size_t n)
{
	pieces->random = pieces->random * 1664525 + 1013904223;
	return (pieces->random >> 8) % n;
}

/* The next piece, valid until the next call. False at the end. */
static inline bool pieces_next(struct pieces *pieces, struct sv *ret_piece)
{
	size_t n = pieces->rest.n;

	free(pieces->copy);
	pieces->copy = NULL;
	if (n == 0) {
		return false;
	}
	if (pieces->way == PIECES_BYTES) {
		n = 1;
	} else if (pieces->way >= PIECES_RANDOM) {
		/* Small pieces as often as large ones. */
		n = 1 + pieces_random(pieces, pieces_random(pieces, 2) ? (n < 6 ? n : 6) : n);
	}
	pieces->copy = malloc(n);
	assert_non_null(pieces->copy);
	memcpy(pieces->copy, pieces->rest.data, n);
	*ret_piece = (struct sv){pieces->copy, n};
	pieces->rest = sv_skip(pieces->rest, n);
	return true;
}

static inline void pieces_end(struct pieces *pieces)
{
	free(pieces->copy);
	pieces->copy = NULL;
}

#define LOG(log, ...) assert_int_equal(buffer_printf(log, __VA_ARGS__), 0)

static inline void pieces_check(struct sv input, pieces_run *run, void *userdata,
				const char *expected)
{
	for (unsigned way = 0; way < PIECES_WAYS; way++) {
		struct pieces pieces = {.rest = input, .way = way, .random = way * 2654435761u};
		struct buffer log = BUFFER_INIT;

		run(&pieces, &log, userdata);
		pieces_end(&pieces);
		if (!sv_eq(buffer_sv(&log), sv_from(expected))) {
			fail_msg("way %u of\n'%.*s'\ngave\n%.*s\nexpected\n%s", way, SV_ARGS(input),
				 SV_ARGS(buffer_sv(&log)), expected);
		}
		buffer_deinit(&log);
	}
}
