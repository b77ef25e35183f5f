/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of a BOSH session, and what its files call of each other. Private to gateway/bosh;
 * users of a session read session.h, which explains the words.
 *
 * From the top down; a file calls only those below it:
 *
 * session.c      creation, what servers do, time
 * request.c      requests as they arrive: in order, early, repeated, gone
 * process.c      processes a request when its turn has come
 * release.c      decides which request is answered when, and whether that ends the session
 * ending.c       ends the session
 * response.c     gives a request its answer
 * payloads.c     sends the client's payloads to its streams
 * streams.c      the streams: their names, their states, and which of them has something to tell
 * reply-cache.c  the answers that were given
 * slots.c        the requests that wait for an answer
 * early.c        the requests that wait for their predecessors
 * last-answer.c  what requests get that come when the session is over
 * actions.c      the list of what the owner has to do
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
	/* The stream was removed during the current call of the owner's. Its number is not reusable
	 * until the next one: actions that are queued already, and the callbacks that they cause,
	 * still refer to the old stream. */
	BOSH_STREAM_SETTLING,
	BOSH_STREAM_OPEN,
	BOSH_STREAM_FAILED, /* the link is over, and the client has not been told yet */
	BOSH_STREAM_CLOSED, /* we have closed the link; what is pending may still be delivered */
};

struct bosh_stream {
	enum bosh_stream_state state; /* changed by bosh_stream_set_state() only */
	/* "" where streams are not offered. Where there is none any more, that of the last one. */
	char name[BOSH_STREAM_NAME_LENGTH + 1];
	bool has_features;
	/* The features have come, after a restart the new ones: payloads can be sent. */
	bool is_ready;
	enum bosh_congestion congestion;
	bool is_managed;
	bool is_throttled;        /* its server is not read */
	bool pending_uses_stream; /* pending uses the prefix "stream" */
	struct buffer pending;
	struct buffer waiting;
	size_t n_waiting;        /* elements in it */
	char *from, *authid;     /* of the server; NULL once they stand in an answer */
	struct failure *failure; /* why it is FAILED; else NULL */
};

enum bosh_session_state {
	BOSH_SESSION_LIVE,
	BOSH_SESSION_ENDING, /* the last answers are being given. No reply is kept any more */
	BOSH_SESSION_ENDED,
};

struct bosh_session {
	const struct bosh_limits *limits;
	struct bosh_creation creation;
	char sid[BOSH_SID_MAX + 1];
	enum bosh_session_state state; /* changed by bosh_session_set_state() only */
	/* The creation answer was given. No state of its own: the first answer may be the last. */
	bool is_created;
	bool is_legacy; /* the client sent no `ver` */
	bool uses_acks; /* client and gateway acknowledge requests and answers */
	bool offers_streams;
	bool is_throttled; /* the servers are not read */
	/* A held request was answered since the servers were throttled, to let the client
	 * acknowledge. */
	bool has_requested_ack;
	bool last_was_empty; /* neither the last answer nor its request carried anything */
	uint64_t next_rid;
	struct bosh_key key; /* what the next request is checked against */

	struct mono received; /* when the last request that was processed came */
	struct mono carried;  /* when the last request came that carried something */
	unsigned n_excused;   /* empty requests in excess that are still allowed for them */
	/* When the request of next_rid, which is kept among the early ones, is judged; or
	 * MONO_NEVER. */
	struct mono verdict;
	struct mono idle_since; /* since when no request can be answered */
	unsigned pause_s;       /* counts in place of `inactivity`; 0: the client has not paused */
	/* Until then one request more than `hold` may wait. MONO_NEVER: none may. */
	struct mono linger;

	struct bosh_stream *streams;
	unsigned n_streams;     /* entries, used or not */
	unsigned n_used;        /* entries that are used: see bosh_stream_is_used() */
	unsigned n_opened;      /* streams so far */
	unsigned n_named;       /* names so far */
	unsigned last_answered; /* the stream whose turn it was */
	/* The former names of the entries that were reused last, a ring of creation.requests. A
	 * client that has not got the answer which tells that a stream was closed cannot have asked
	 * for so many others since. NULL: there was one stream only. */
	char (*reused)[BOSH_STREAM_NAME_LENGTH + 1];
	unsigned n_reused; /* so far */

	/* Both have room for one more than `requests`: to pause or terminate ("Overactivity"). */
	struct bosh_slots slots;
	struct bosh_early early;
	uint64_t failed_exchange; /* of an early request, the processing of which failed; 0: none */
	struct bosh_reply_cache replies;
	struct bosh_last_answer last;
};

static inline void bosh_session_set_state(struct bosh_session *session,
					  enum bosh_session_state state)
{
	assert(session->state <= state);
	session->state = state;
}

/* Whether @stream is open, or over without the client having been told. */
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

/* One call of the owner's. Functions that get a turn return no error: the actions remember it, and
 * the function that began the turn ends with bosh_actions_end(). */
struct bosh_turn {
	struct bosh_session *session;
	struct mono now;
	struct bosh_actions *actions;
};

static inline bool bosh_turn_failed(const struct bosh_turn *turn)
{
	return bosh_actions_failed(turn->actions);
}

/* request.c */

/* "In-Order Message Forwarding": processes the early requests whose turn has come, up to one that
 * has to wait for its verdict. @is_judged: the first one has waited. */
void bosh_turn_process_early(struct bosh_turn *turn, bool is_judged);

/* process.c */

/* Whether the request @body, whose turn it is and which came at @received, seems to break the rule
 * about polling. It does not break it if the request before it has lost its connection, which may
 * become known a moment later. */
bool bosh_turn_doubts(const struct bosh_turn *turn, const struct bosh_body *body,
		      struct mono received);

/* Processes the request whose turn it is. Moves what it needs out of its body. */
void bosh_turn_process(struct bosh_turn *turn, struct bosh_arrival *arrival);

/* release.c */

/* Answers what need not wait: payloads go to a held request, and the oldest is answered when too
 * many are held. Ends the session when the client can be told that its last stream has failed. */
void bosh_turn_release(struct bosh_turn *turn);

/* Answers the oldest request because its time is over: with what a stream has to tell, if its
 * connection is there, else with an empty body. */
void bosh_turn_answer_late(struct bosh_turn *turn);

/* ending.c */

/* Ends the session ("Terminating the BOSH Session"). The oldest request that can be answered gets
 * @answer and what is pending of @stream (may be NULL), the others get empty bodies. */
void bosh_turn_finish(struct bosh_turn *turn, struct bosh_answer *answer,
		      struct bosh_stream *stream);

/* Ends the session because of @rule (NONE: for another reason) without answering slots. Early
 * requests are told @condition and the rule. @has_vanished: see bosh_turn_close_stream(). */
void bosh_turn_abandon(struct bosh_turn *turn, enum bosh_condition condition, enum bosh_rule rule,
		       bool has_vanished);

/* Ends the session because @body, which came with @exchange, broke @rule. */
void bosh_turn_refuse(struct bosh_turn *turn, uint64_t exchange, const struct bosh_body *body,
		      enum bosh_rule rule);

/* Closes the link of @stream, if it is open, and returns to its server what was not delivered. The
 * stream is forgotten later. @has_vanished: the client has not been heard of for so long that
 * answers may be lost, too. */
void bosh_turn_close_stream(struct bosh_turn *turn, struct bosh_stream *stream, bool has_vanished);

/* response.c */

/* Answers the oldest request, which there must be. @answer says what is special about it, and
 * @stream which stream it is about (NULL: none); creation, names and acknowledgements are added
 * here. Its payloads, if any, are all that is pending of @stream, which has nothing pending
 * afterwards. On failure the request stays. */
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
/* Sends what @body carries to the streams that it is for, and takes it. What is for a stream that
 * is not ready waits. Nearly always there is one stream, and nothing is copied. */
void bosh_payloads_push(struct bosh_turn *turn, struct bosh_body *body);
/* Sends what has waited for streams that are ready now. */
void bosh_payloads_release(struct bosh_turn *turn);

/* streams.c */

/* Whether one more stream may be opened now. */
bool bosh_stream_may_open(const struct bosh_session *session);
/* Opens a stream and gives it a name; bosh_stream_may_open() must have agreed. Returns 0 with
 * *ret_stream, or -ENOMEM. */
_must_check_ int bosh_stream_open(struct bosh_session *session, unsigned *ret_stream);
/* Asserts that the state may follow the one before. */
void bosh_stream_set_state(struct bosh_stream *stream, enum bosh_stream_state state);
/* The link of an open stream is over because of @failure. Returns 0 or -ENOMEM. */
_must_check_ int bosh_stream_fail(struct bosh_stream *stream, const struct failure *failure);
/* Forgets @stream and drops what is pending. Without effect on one that is not used. */
void bosh_stream_remove(struct bosh_session *session, struct bosh_stream *stream);
/* "Discovery": a name that no stream has or will have. Returns 0 or -ENOMEM. */
_must_check_ int bosh_stream_make_name(struct bosh_session *session,
				       char ret_name[static BOSH_STREAM_NAME_LENGTH + 1]);
/* The stream of that name, or NULL. */
struct bosh_stream *bosh_stream_find(struct bosh_session *session, struct sv name);
/* Whether a stream of that name was closed lately. The name is known until its entry and then
 * creation.requests others are reused. */
bool bosh_stream_was_closed(const struct bosh_session *session, struct sv name);
/* A stream that has something to tell, NULL when there is none. Streams take turns. */
struct bosh_stream *bosh_stream_due(struct bosh_session *session);
/* The only stream that is left, if it has failed; else NULL. */
struct bosh_stream *bosh_stream_last_failed(struct bosh_session *session);
/* A call of the owner's begins: SETTLING becomes FREE. */
void bosh_streams_settle(struct bosh_session *session);
size_t bosh_streams_n_pending(const struct bosh_session *session);
/* Bytes of memory for what waits in either direction. */
size_t bosh_streams_held(const struct bosh_session *session);
enum bosh_congestion bosh_streams_congestion(const struct bosh_session *session);
