/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A model of all that is around a BOSH session (gateway/bosh/session.h): a client that follows all
 * rules, its network, which breaks connections at any time, servers, and time. What happens, and
 * when, is chosen by the bytes of an input or at random. When the choices are used up everything
 * goes well for a while, and then the session ends in one of several ways.
 *
 * What must hold, whatever is chosen:
 *
 * - the client is told no error, but how a stream or the session ended that did end;
 * - each stanza of the client's reaches each of the streams that it is for once and in order, as
 *   soon as the turn of its request has come and the stream is ready;
 * - each stanza of a server's reaches the client once, in order and under the name of its stream.
 *   It does not wait while a request could carry it. Only what is pending when its stream is closed
 *   is returned to the server;
 * - each exchange is answered once; the answers to a repeated request are the same, byte for byte;
 * - no more requests are held than `hold`, and none for longer than `wait`;
 * - the session ends when its client has vanished, and not before.
 */
#include <stdint.h>

#include "common/sv.h"

/* Where choices come from: the bytes of @input, or, if @random is not 0, a generator. */
struct choices {
	struct sv input;
	uint64_t random;
	unsigned n_left; /* choices that the generator makes */
};

/* Runs one session. If something does not hold, prints @label, what happened and what does not
 * hold, and ends the program. */
void session_model_run(const struct choices *choices, const char *label);
