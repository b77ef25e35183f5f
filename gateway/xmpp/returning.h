/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The end of a stream whose client takes nothing any more, as an engine. Because of back-pressure,
 * the server may have written stanzas that were not read yet, and takes them for delivered. So the
 * gateway reads on before it sends </stream:stream>, and returns each stanza to its sender as an
 * error (bounce.h): afterwards nothing can be returned.
 *
 * A server does not say when it has written everything. The engine assumes that it has when nothing
 * has come for a while: what waits in its socket follows within a round trip.
 *
 * Use: returning_init(), then returning_take() with what arrives, until it returns another result
 * than RETURNING_MORE or returning_deadline() has passed. Then end the stream.
 */
#include "common/mono.h"
#include "gateway/xmpp/stream.h"

enum {
	/* Milliseconds without a byte from the server after which it has no more to send: several
	 * round trips around the world, and a server that is busy. */
	RETURNING_QUIET_MS = 2000,
	/* Milliseconds in all. A server that always has something to send would otherwise keep the
	 * connection of a client that is gone, which no limit of sessions counts any more. */
	RETURNING_MS = 10000,
	/* Bytes that are read at most: more than two kernels keep for a socket by default. A server
	 * that sends as fast as it is read must not keep the gateway busy for a client that is
	 * gone. */
	RETURNING_BYTES_MAX = 64 * 1024 * 1024,
};

enum returning_result {
	RETURNING_MORE, /* read on */
	/* The server has ended or broken the stream, or manages it from now on (XEP-0198), so that
	 * it returns by itself what was not acknowledged; or RETURNING_BYTES_MAX have been read. */
	RETURNING_OVER,
};

struct returning {
	struct stream *stream; /* borrowed */
	struct mono end, quiet_end;
	size_t n_left; /* bytes that may be read */
};

void returning_init(struct returning *returning, struct stream *stream, struct mono now);

/* Takes what the server has sent; without bytes, the events that stream_next() still has.
 * Appends to @answers what goes back to it, also when it returns RETURNING_OVER. Returns
 * RETURNING_* or -ENOMEM, after which the stream has to end, too. */
_must_check_ int returning_take(struct returning *returning, struct sv bytes, struct mono now,
				struct buffer *answers);

/* The caller stops reading (@is_held), because the server does not read what goes back to it, or
 * reads on. The silence while it does not read does not count. */
void returning_hold(struct returning *returning, bool is_held, struct mono now);

/* The caller has found bytes that it has not read yet, so the server is not silent. To be called
 * when the deadline has passed: a caller that is late for its timer has not read in time either. */
void returning_note_unread(struct returning *returning, struct mono now);

/* When the stream ends, although RETURNING_MORE was returned. */
struct mono returning_deadline(const struct returning *returning);
