/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of a BOSH session, and what its files call of each other. Private to gateway/bosh; who uses a session reads
 * session.h, where the words are explained.
 *
 * actions.c   the list of what the owner is to do
 * session.c   its making and its end, the server's side, the time
 * request.c   requests: in order, early, repeated, gone
 * response.c  which request is answered when, and what is kept of it
 * ending.c    how it ends: terminated, refused, failed
 */
#include "gateway/bosh/answer.h"
#include "gateway/bosh/session.h"

struct bosh_slot {
	uint64_t rid;
	uint64_t exchange; /* 0: its connection broke */
	struct mono received;
	unsigned n_repeats;
};

struct bosh_early {
	uint64_t rid;
	uint64_t exchange;
	struct bosh_body *body; /* NULL: the place is free */
};

struct bosh_kept {
	uint64_t rid;
	struct blob *blob; /* NULL: the place is free */
};

struct bosh_session {
	const struct bosh_limits *limits;
	struct bosh_creation creation;
	char sid[BOSH_SID_MAX + 1];
	bool created;       /* the creation answer has been given */
	bool features_seen; /* it has no longer to wait for them */
	bool legacy;
	bool congested, paused, ended;
	bool pending_stream; /* pending uses the prefix "stream" */
	uint64_t next_rid;
	struct mono idle_since; /* since when no request could be answered */
	struct mono polled;     /* when the last request came */
	bool polled_empty;      /* it had nothing to say, and got nothing */
	struct buffer pending;
	char *from, *authid;     /* of the server, until they are said */
	struct failure *failure; /* the link is over and nobody was there to be told */
	size_t n_places;         /* of the three lists: `requests`, and one more for a terminate */
	struct bosh_slot *slots; /* oldest first */
	size_t n_slots;
	struct bosh_early *early;
	struct bosh_kept *kept;  /* a ring of `requests` */
	size_t next_kept;
};

/* Functions with @actions return 0 or -ENOMEM. */

/* Appends @action and takes what it owns, also on failure. */
_must_check_ int bosh_actions_push(struct bosh_actions *actions, struct bosh_action action);
_must_check_ int bosh_actions_push_kind(struct bosh_actions *actions, enum bosh_action_kind kind);
/* Answers @exchange, unless it is 0, with a terminal condition. */
_must_check_ int bosh_actions_push_refusal(struct bosh_actions *actions, uint64_t exchange,
					   enum bosh_condition condition, bool legacy);

/* Frees what an early request owns; its place is free afterwards. */
void bosh_early_clear(struct bosh_early *early);

/* Whether some request could be answered: one is open, and it is its turn. */
bool bosh_session_is_attended(const struct bosh_session *session);

/* Answers the oldest request. @answer says what is special about it; creation and names are put in here. When it
 * has payloads they are what is pending, which is empty afterwards. */
_must_check_ int bosh_session_answer(struct bosh_session *session, struct bosh_answer *answer, struct mono now,
				     struct bosh_actions *actions);
_must_check_ int bosh_session_answer_empty(struct bosh_session *session, struct mono now,
					   struct bosh_actions *actions);
/* Gives a request @exchange the answer that @rid got. Returns 1 when it is not kept any more. */
_must_check_ int bosh_session_replay(struct bosh_session *session, uint64_t exchange, uint64_t rid,
				     struct mono now, struct bosh_actions *actions);
/* Answers what need not wait: payloads for whoever holds a request, and the oldest when too many are held. */
_must_check_ int bosh_session_release(struct bosh_session *session, struct mono now,
				      struct bosh_actions *actions);

/* Ends the session: the oldest request that somebody waits for is told @answer and what is pending, the others get empty
 * bodies ("Terminating the BOSH Session"). */
_must_check_ int bosh_session_finish(struct bosh_session *session, struct bosh_answer *answer,
				     struct mono now, struct bosh_actions *actions);
/* The same for a link that is over. */
_must_check_ int bosh_session_finish_failed(struct bosh_session *session, const struct failure *failure,
					    struct mono now, struct bosh_actions *actions);
/* Ends the session; early requests are told @condition, nobody else is told anything. */
_must_check_ int bosh_session_abandon(struct bosh_session *session, enum bosh_condition condition,
				      struct bosh_actions *actions);
