/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of a BOSH session, and what its files call of each other. Private to gateway/bosh; who uses a session reads
 * session.h, where the words are explained.
 *
 * From the top down; a file calls those below it:
 *
 * session.c   its making, the server's side, the time
 * request.c   requests as they arrive: in order, early, repeated, gone
 * process.c   what a request does when its turn has come
 * release.c   which request is answered when, and whether that is the end
 * ending.c    how it ends: terminated, refused, failed
 * response.c  gives a request its answer
 * payloads.c  what the client sends to its streams
 * streams.c   the streams: their names, and which of them has something to tell
 * reply-cache.c  answers that were given, for repeats and until they are acknowledged
 * slots.c     requests that wait for their answers
 * early.c     requests that came before their predecessors
 * actions.c   the list of what the owner is to do
 */
#include <assert.h>

#include "gateway/bosh/actions.h"
#include "gateway/bosh/answer.h"
#include "gateway/bosh/early.h"
#include "gateway/bosh/key.h"
#include "gateway/bosh/reply-cache.h"
#include "gateway/bosh/session.h"
#include "gateway/bosh/slots.h"

enum {
	/* 128 bits of a hash, in hexadecimal digits. */
	BOSH_STREAM_NAME_LENGTH = 32,
};

/* FREE -> OPEN -> FAILED or CLOSED -> SETTLING -> FREE; from OPEN also straight to SETTLING. */
enum bosh_stream_state {
	BOSH_STREAM_FREE,
	/* Free, but not to be used again in this call of the owner's: actions that were pushed already,
	 * and what comes of carrying them out, are about the stream that was there. */
	BOSH_STREAM_SETTLING,
	BOSH_STREAM_OPEN,
	BOSH_STREAM_FAILED, /* its link is over, and the client has not been told yet */
	BOSH_STREAM_CLOSED, /* its link was closed by us; what is pending may still be delivered */
};

/* Independent of whether the creation answer was given: the first answer may be the last. */
enum bosh_session_state {
	BOSH_SESSION_LIVE,
	BOSH_SESSION_ENDING, /* the last answers are being given: no reply is kept any more */
	BOSH_SESSION_ENDED,
};

struct bosh_stream {
	enum bosh_stream_state state; /* changed by bosh_stream_set_state() only */
	char name[BOSH_STREAM_NAME_LENGTH + 1]; /* "" where streams are not offered */
	bool features_seen;
	/* The client may be heard: its features have come, also those behind the latest restart. */
	bool ready;
	bool congested;
	bool managed;
	bool throttled; /* its server is not read */
	bool pending_uses_stream; /* pending uses the prefix "stream" */
	struct buffer pending;
	struct buffer waiting; /* from the client, until the stream is ready */
	char *from, *authid; /* of the server, until they are said */
	struct failure *failure; /* why it is FAILED; else NULL */
};

struct bosh_session {
	const struct bosh_limits *limits;
	struct bosh_creation creation;
	char sid[BOSH_SID_MAX + 1];
	bool created;  /* the creation answer has been given */
	bool legacy;
	enum bosh_session_state state; /* changed by bosh_session_set_state() only */
	bool throttled; /* the servers are not to be read */
	bool acks;     /* the client acknowledges, and is acknowledged */
	bool offers_streams;
	bool last_empty; /* the last answer and its request carried nothing */
	uint64_t next_rid;
	struct mono idle_since; /* since when no request could be answered */
	struct mono received;   /* when the last request that was processed came */
	struct mono carried;    /* when the last one came that carried something */
	unsigned n_excused;     /* empty requests in excess that those excuse */
	unsigned pause_s;       /* in place of inactivity; 0: the client has not paused */
	struct mono linger;     /* until when one request more than `hold` waits; MONO_NEVER: it does not */
	struct bosh_key key;    /* what the next request is checked against */

	struct bosh_stream *streams; /* their indices are the streams' numbers */
	unsigned n_streams;
	unsigned n_used, n_opened; /* now, and ever */
	unsigned n_named;
	unsigned last_answered;        /* whose turn it was */
	char last_closed[BOSH_STREAM_NAME_LENGTH + 1];

	/* Both have room for `requests`, and for one more to pause or terminate ("Overactivity"). */
	struct bosh_slots slots;
	struct bosh_early early;
	uint64_t failed_exchange; /* of an early request, processing which failed; or 0 */
	struct bosh_reply_cache replies;
	bool ack_requested;              /* a held request has been answered so that the client acknowledges */
};

static inline void bosh_session_set_state(struct bosh_session *session,
					  enum bosh_session_state state)
{
	assert(session->state <= state);
	session->state = state;
}

/* Whether @stream has not been forgotten yet: it is open, or there is something to tell about it. */
static inline bool bosh_stream_is_used(const struct bosh_stream *stream)
{
	return stream->state >= BOSH_STREAM_OPEN;
}

/* The number of @stream. */
static inline unsigned bosh_stream_index(const struct bosh_session *session,
					 const struct bosh_stream *stream)
{
	return (unsigned)(stream - session->streams);
}

/* One call of the owner's: what it is about, and where its actions go. Errors are remembered by the
 * actions, and whoever has begun the turn ends with bosh_actions_end(). */
struct bosh_turn {
	struct bosh_session *session;
	struct mono now;
	struct bosh_actions *actions;
};

static inline bool bosh_turn_failed(const struct bosh_turn *turn)
{
	return bosh_actions_failed(turn->actions);
}

/* process.c */

/* Processes the request whose turn it is. What it needs of the body it moves out of it. */
void bosh_turn_process(struct bosh_turn *turn, struct bosh_arrival *arrival);

/* release.c */

/* Answers what need not wait: payloads go to a held request, and the oldest is answered when too
 * many are held. Ends the session when the client can be told that its last stream has failed. */
void bosh_turn_release(struct bosh_turn *turn);

/* ending.c */

/* Ends the session ("Terminating the BOSH Session"). The oldest request that can be answered gets
 * @answer and what is pending of @stream (may be NULL), the others get empty bodies. */
void bosh_turn_finish(struct bosh_turn *turn, struct bosh_answer *answer,
		      struct bosh_stream *stream);

/* Ends the session because of @rule (NONE: for another reason) without answering slots. Early
 * requests are told @condition and the rule. @vanished: see bosh_turn_close_stream(). */
void bosh_turn_abandon(struct bosh_turn *turn, enum bosh_condition condition, enum bosh_rule rule,
		       bool vanished);

/* Ends the session because @exchange broke @rule. */
void bosh_turn_refuse(struct bosh_turn *turn, uint64_t exchange, enum bosh_rule rule);

/* Closes the link of @stream, if it is open, and returns to its server what was not delivered. The
 * stream is forgotten later. @vanished: the client has not been heard of for so long that answers may
 * be lost, too. */
void bosh_turn_close_stream(struct bosh_turn *turn, struct bosh_stream *stream, bool vanished);

/* response.c */

/* Answers the oldest request, which there must be. @answer says what is special about it, and
 * @stream which stream it is about (NULL: none); creation, names and acknowledgements are added here.
 * Its payloads, if any, are all that is pending of @stream, which has nothing pending afterwards. On
 * failure the request stays. */
void bosh_turn_answer(struct bosh_turn *turn, struct bosh_answer *answer,
		      struct bosh_stream *stream);
void bosh_turn_answer_empty(struct bosh_turn *turn);
/* Answers all requests with empty bodies. */
void bosh_turn_answer_all_empty(struct bosh_turn *turn);
/* Answers the repeated request @exchange with @reply. */
void bosh_turn_replay(struct bosh_turn *turn, uint64_t exchange, const struct bosh_reply *reply);

/* payloads.c */

/* The stream that @body names; NULL when it is for all of them ("Transmitting Payloads"), and where
 * there has only ever been one, because then the attribute says nothing. */
struct bosh_stream *bosh_stream_named(struct bosh_session *session, const struct bosh_body *body);
/* Whether what @body carries is more than may wait. */
enum bosh_rule bosh_payloads_judge(struct bosh_session *session, const struct bosh_body *body);
/* Sends what @body carries to the streams that it is for, and takes it. What is for a stream that is
 * not ready waits. Nearly always there is one stream, and nothing is copied. */
void bosh_payloads_push(struct bosh_turn *turn, struct bosh_body *body);
/* Sends what has waited for streams that are ready now. */
void bosh_payloads_release(struct bosh_turn *turn);

/* streams.c */

/* Whether there may be one more. */
bool bosh_stream_may_open(const struct bosh_session *session);
/* Takes a place, which there must be, and gives the stream a name. Returns 0 with *ret_stream, or
 * -ENOMEM. */
_must_check_ int bosh_stream_open(struct bosh_session *session, unsigned *ret_stream);
/* Changes the state; the order above is asserted. */
void bosh_stream_set_state(struct bosh_stream *stream, enum bosh_stream_state state);
/* The link of an open stream is over because of @failure. Returns 0 or -ENOMEM. */
_must_check_ int bosh_stream_fail(struct bosh_stream *stream, const struct failure *failure);
/* Frees the place of @stream; what is pending is dropped. */
void bosh_stream_remove(struct bosh_session *session, struct bosh_stream *stream);
/* "Discovery": a name that no stream has, nor will have. Returns 0 or -ENOMEM. */
_must_check_ int bosh_stream_make_name(struct bosh_session *session,
				       char ret_name[static BOSH_STREAM_NAME_LENGTH + 1]);
/* The stream of that name, or NULL. */
struct bosh_stream *bosh_stream_find(struct bosh_session *session, struct sv name);
/* A stream with something to tell, in turns; NULL when there is none. */
struct bosh_stream *bosh_stream_due(struct bosh_session *session);
/* The only stream that is left, if it has failed; else NULL. */
struct bosh_stream *bosh_stream_last_failed(struct bosh_session *session);
/* A call begins: all places that have become free may be taken. */
void bosh_streams_settle(struct bosh_session *session);
size_t bosh_streams_n_pending(const struct bosh_session *session);
bool bosh_streams_are_congested(const struct bosh_session *session);
