/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A BOSH session (XEP-0124, XEP-0206), as an engine: understood requests, what the server sends, and the time in; actions
 * out. No socket, no clock, no log. Section names in comments are XEP-0124's where not said otherwise.
 *
 * exchange  one HTTP request that wants one answer; a number that the owner gives, never 0
 * rid       the client's number of a request; requests are processed in its order
 * slot      a request that was processed and not answered yet; `hold` of them may stay
 * early     a request that came before its predecessor
 * reply     an answer that was given and is kept, for a repeat of its request; with acknowledgements, until
 *           it is acknowledged
 * stream    one way to a server; a small number, the first is 0. Its name is what the client calls it ("Multiple Streams")
 * pending   bytes from the server of one stream that no answer has taken yet
 * waiting   payloads from the client for one stream whose features have not come; sent, in order, when they
 *           have. They are lost with the stream, and the client knows that from its being told so: what a
 *           stream carried before its features nobody can have answered
 * linger    the moment for which a request that could be answered empty waits, so that the server's reply to the next rides on it
 *
 * Use: call with what happened and a struct bosh_actions; carry out the actions in their order; arm one timer for
 * bosh_session_deadline(). After BOSH_ACTION_END free the session. Nothing here calls back.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/blob.h"
#include "common/buffer.h"
#include "common/mono.h"
#include "gateway/bosh/body.h"
#include "gateway/bosh/rule.h"
#include "gateway/failure.h"

struct bosh_session;

enum {
	/* The protocol version spoken here: 1.11. */
	BOSH_VER_MAJOR = 1,
	BOSH_VER_MINOR = 11,
	/* Streams of one session: each is a connection to a server. */
	BOSH_STREAMS_MAX = 16,
	/* Empty requests in excess that requests with payloads excuse: a burst of stanzas must not
	 * let a client poll without end. */
	BOSH_POLLS_EXCUSED_MAX = 8,
	/* Payloads that wait for their streams' features, of all streams together, in bytes. A client that names a
	 * server which never answers must not fill our memory. A login with a token of 16 KB has room. */
	BOSH_WAITING_MAX = 64 * 1024,
};

/* What the operator allows; the client's wishes count as far as they are below. */
struct bosh_limits {
	unsigned wait_s, hold, inactivity_s, polling_s;
	unsigned maxpause_s;    /* 0: no pauses */
	unsigned linger_ms;     /* 0: none */
	unsigned n_repeats_max; /* of one request: a way around the limits of polling */
	unsigned n_streams_max; /* 1: multiple streams are not offered; at most BOSH_STREAMS_MAX */
	size_t n_pending_max;   /* above it the servers are not read: memory of a client that is not there */
	bool codings;           /* requests may be compressed: said in `accept` */
};

/* All but ANSWER and END are of the stream `stream`. */
enum bosh_action_kind {
	BOSH_ACTION_ANSWER,  /* answer `exchange` with `status` and `blob` (a reference of the taker's) */
	BOSH_ACTION_OPEN,    /* a further stream; `payloads` has to, from, lang, version, route as five C strings */
	BOSH_ACTION_SEND,    /* `payloads` (the taker's) to the server */
	BOSH_ACTION_RESTART, /* a new stream header; `payloads` as for OPEN */
	BOSH_ACTION_BOUNCE,  /* `payloads` from the server came to nobody: tell it so (XEP-0206, "recipient-unavailable") */
	BOSH_ACTION_CLOSE,   /* close the stream with its farewell */
	BOSH_ACTION_STOP_READING,   /* read no more from the server */
	BOSH_ACTION_RESUME_READING,
	/* The session is over: drop what is left of its links without a farewell, forget the sid. `rule`
	 * is what its client broke. */
	BOSH_ACTION_END,
};

struct bosh_action {
	enum bosh_action_kind kind;
	unsigned stream;
	unsigned status;
	enum bosh_rule rule; /* BOSH_RULE_NONE: none was broken */
	uint64_t exchange;
	struct blob *blob;
	struct buffer payloads;
};

struct bosh_actions {
	struct bosh_action *items;
	size_t n, size;
	int error; /* the engine's */
};

/* Releases what actions still own and the list itself. */
void bosh_actions_deinit(struct bosh_actions *actions);

/* The answer for a request that has no session: <body type='terminate' .../>, with @text inside when it is not NULL: for SEE_OTHER_URI
 * the URI, else words. Returns 0 with *ret_status (200, or 400/403/404 for a legacy client: one that sent no `ver`) and *ret_blob,
 * or -ENOMEM. */
_must_check_ int bosh_refusal(enum bosh_condition condition, const char *text, bool legacy,
			      unsigned *ret_status, struct blob **ret_blob);

/* Makes the session of the creation request @body, which @exchange brought ("Initiating a BOSH Session"). Its stream 0 is the owner's to
 * open. The answer waits for the features, never beyond `wait`. @limits is borrowed for the session's life. Returns 0 or
 * -ENOMEM. */
_must_check_ int bosh_session_new(const struct bosh_limits *limits, const char *sid,
				  const struct bosh_body *body, uint64_t exchange, struct mono now,
				  struct bosh_session **ret_session);
struct bosh_session *bosh_session_free(struct bosh_session *session);

/* A further request. What it needs of @body it moves out of it. Returns 0 or -ENOMEM: then the session is to be
 * freed, and before that whoever bosh_session_take_exchange() gives be told. So for all calls with @actions. */
_must_check_ int bosh_session_request(struct bosh_session *session, uint64_t exchange, struct bosh_body *body,
				      struct mono now, struct bosh_actions *actions);

/* A request that named the session breaks @rule, which the owner has found out: the session ends ("Terminal
 * Binding Conditions"). */
_must_check_ int bosh_session_refuse(struct bosh_session *session, uint64_t exchange,
				     enum bosh_rule rule, struct bosh_actions *actions);

/* The client's connection broke while @exchange was unanswered. Its slot stays for a repeat ("Broken Connections"); a request whose
 * turn has not come is forgotten. */
void bosh_session_gone(struct bosh_session *session, uint64_t exchange, struct mono now);

/* A request comes from another address than the one before it: call this first. The client's network has
 * changed, and with it the connections of what is held may be dead without anybody having said so. They are
 * still answered, and still repeated, but do not count as requests under way ("Overactivity"). */
void bosh_session_moved(struct bosh_session *session);

/* The header of @stream's server came: its `id` and `from`, borrowed for the call; may be NULL. */
_must_check_ int bosh_session_header(struct bosh_session *session, unsigned stream, const char *id,
				     const char *from);

/* Where elements from the server of @stream are appended, each completed. @uses_stream: the element is of the streams namespace.
 * @is_features: the features are here, or there will be none. */
struct buffer *bosh_session_pending(struct bosh_session *session, unsigned stream, bool uses_stream,
				    bool is_features);

/* The server of @stream manages it (XEP-0198): it knows what was not acknowledged, and nothing is to be told for the client
 * when the session ends; nor is the stream closed then, so that it can be resumed. */
void bosh_session_set_managed(struct bosh_session *session, unsigned stream);

/* All that arrived together has been appended: answers what can be answered. */
_must_check_ int bosh_session_flush(struct bosh_session *session, struct mono now,
				    struct bosh_actions *actions);

/* The link of @stream is over. What is pending is told before; when no request is held it waits for the next. With the last stream
 * the session ends; one of several is told by its name ("Error Conditions"). */
_must_check_ int bosh_session_fail(struct bosh_session *session, unsigned stream,
				   const struct failure *failure, struct mono now,
				   struct bosh_actions *actions);

/* The session is to end for a reason of the owner's, whatever its streams are. */
_must_check_ int bosh_session_shut(struct bosh_session *session, const struct failure *failure,
				   struct mono now, struct bosh_actions *actions);

/* While the server of @stream does not keep up, requests are not answered earlier than they must be. */
_must_check_ int bosh_session_congest(struct bosh_session *session, unsigned stream, bool congested,
				      struct mono now, struct bosh_actions *actions);

/* When bosh_session_expire() wants to be called. */
struct mono bosh_session_deadline(const struct bosh_session *session);
_must_check_ int bosh_session_expire(struct bosh_session *session, struct mono now,
				     struct bosh_actions *actions);

/* After -ENOMEM: gives an exchange that nobody will answer any more, another one with each call; 0 when there is none left. */
uint64_t bosh_session_take_exchange(struct bosh_session *session);

const char *bosh_session_sid(const struct bosh_session *session);
