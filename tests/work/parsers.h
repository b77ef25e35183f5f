/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The parsers and engines that read bytes of strangers, each driven as the program drives it, to
 * be measured.
 *
 * piece    how many bytes arrive at once; 0: all of them
 * refusal  why no more is taken. Each parser has numbers of its own; ACCEPTED is 0 for all
 * out      the bytes that come out: what is sent on, answered or kept
 */
#include "common/buffer.h"

enum {
	ACCEPTED,
	/* The input has ended too early; or it cannot be told from that. */
	INCOMPLETE,
	/* What is behind this is nobody's, or another parser's. */
	OVER,
	REFUSED,

	N_INPUT_MAX = 256 * 1024,
};

struct outcome {
	int refusal;
	size_t n_out;
};

struct parser {
	const char *name;
	/* Makes of @input what run() gets; NULL: the input itself. */
	void (*prepare)(struct sv input, struct buffer *ret_prepared);
	struct outcome (*run)(struct sv input, size_t n_piece);
};

/* Ends the program unless @r is 0. */
void need(int r);

/* Takes the next piece of @rest. */
struct sv take(struct sv *rest, size_t n_piece);

/* Both end with an entry without a name. */
extern const struct parser parsers[];      /* of clients' bytes: parsers-client.c */
extern const struct parser peer_parsers[]; /* of servers', and what is about them: parsers-peer.c */
