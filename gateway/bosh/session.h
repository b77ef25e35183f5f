/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A BOSH session (XEP-0124, XEP-0206), as an engine: parsed requests, the bytes that servers send
 * and the time go in, actions come out. It does no I/O, reads no clock and logs nothing. Section
 * names in comments are those of XEP-0124, unless another specification is named.
 *
 * exchange  an HTTP request that needs an answer. The owner numbers them; 0 is never used
 * rid       the client's number of a request. Requests are processed in the order of their rids
 * slot      a request that was processed and not answered yet. Up to `hold` of them may wait
 * early     a request that came before its predecessor
 * reply     an answer that was given and is kept, for a repeat of its request; with
 *           acknowledgements, until it is acknowledged
 * stream    one of the session's ways to a server, as the engine sees it: a number, of which the
 *           first is 0. The client knows it by a name ("Multiple Streams")
 * pending   bytes from the server of a stream that no answer has carried yet
 * waiting   payloads from the client for a stream whose features have not come. They are sent, in
 *           order, when the features come. If the stream fails before, they are lost; the client
 *           learns that the stream failed, and nothing can have been answered to them
 * linger    how long a request waits that could be answered with an empty body, so that it can
 *           carry the server's reply instead
 *
 * Use: call a function with what happened and a struct bosh_actions; carry out the actions in
 * order; set one timer to bosh_session_deadline(). After BOSH_ACTION_END free the session. Nothing
 * here calls back.
 *
 * Functions with @actions return 0 or -ENOMEM. After -ENOMEM carry out the actions that there are,
 * and those of bosh_session_shut(), which may fail again. Then answer every exchange that
 * bosh_session_take_exchange() gives, and free the session.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/blob.h"
#include "common/buffer.h"
#include "common/mono.h"
#include "gateway/bosh/body.h"
#include "gateway/bosh/last-answer.h"
#include "gateway/bosh/rule.h"
#include "gateway/failure.h"

enum bosh_congestion {
	BOSH_CONGESTION_NONE,
	/* The server does not keep up: answers without payloads wait. */
	BOSH_CONGESTION_SOME,
	/* As much waits for it as may while the client can send more: payloads wait, too, for as
	 * long as a request may be held. */
	BOSH_CONGESTION_FULL,
};

struct bosh_session;

enum {
	/* The protocol version spoken here: 1.11. */
	BOSH_VER_MAJOR = 1,
	BOSH_VER_MINOR = 11,
	/* Streams of one session: each is a connection to a server. */
	BOSH_STREAMS_MAX = 16,
	/* How long a request that seems to come too soon waits for its verdict, in milliseconds.
	 * Meanwhile it may become known that the connection of the request before it has broken:
	 * that news may come from another worker, or later in the same iteration of the loop. On a
	 * busy machine a worker is late by some hundred milliseconds; a client that does poll too
	 * fast loses nothing by a later verdict, and sends no faster. */
	BOSH_VERDICT_MS = 1000,
	/* How long a client whose requests may be held makes none, in milliseconds, before it is
	 * taken for absent: its next request follows an answer within a round trip, also over a bad
	 * mobile network. When the owner ends the session of an absent client, the last answer has
	 * probably not arrived. */
	BOSH_ABSENT_MS = 5000,
	/* Empty requests in excess that requests with payloads excuse: a burst of stanzas must not
	 * let a client poll without end. */
	BOSH_POLLS_EXCUSED_MAX = 8,
	/* Bytes of waiting payloads, of all streams together. A client that names a server which
	 * never answers must not fill our memory. A login with a token of 16 KB has room. */
	BOSH_WAITING_MAX = 64 * 1024,
};

/* What the operator allows. A client may ask for less. */
struct bosh_limits {
	unsigned wait_s, hold, inactivity_s, polling_s;
	unsigned maxpause_s;    /* 0: no pauses */
	unsigned linger_ms;     /* 0: do not linger */
	unsigned n_repeats_max; /* of one request. Repeating evades the limits on polling */
	unsigned n_streams_max; /* 1: do not offer multiple streams; at most BOSH_STREAMS_MAX */
	/* Bytes pending. Above it the servers are not read: the memory of an absent client. */
	size_t n_pending_max;
	bool accepts_codings; /* accept compressed requests, and say so in `accept` */
};

/* All but ANSWER and END are about the stream `stream`. */
enum bosh_action_kind {
	BOSH_ACTION_ANSWER, /* answer `exchange` with `status` and `blob` (the taker's reference) */
	/* Open one more stream. `payloads` has five C strings: to, from, lang, version, route. */
	BOSH_ACTION_OPEN,
	BOSH_ACTION_SEND,    /* send `payloads`, which the taker owns, to the server */
	BOSH_ACTION_RESTART, /* send a new stream header; `payloads` as for OPEN */
	/* `payloads` came from the server and could not be delivered to the client: return them as
	 * errors (XEP-0206, "recipient-unavailable"). */
	BOSH_ACTION_BOUNCE,
	BOSH_ACTION_CLOSE,        /* close the stream in order */
	BOSH_ACTION_STOP_READING, /* from the server */
	BOSH_ACTION_RESUME_READING,
	/* The session is over: drop the links that are left without closing their streams, and
	 * forget the sid. `rule` is the rule that the client broke. */
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
	size_t n_payloads; /* elements in `payloads` that go to the server */
};

struct bosh_actions {
	struct bosh_action *items;
	size_t n, size;
	int error; /* used by the engine */
};

/* Releases what actions still own, and the list itself. */
void bosh_actions_deinit(struct bosh_actions *actions);

/* Makes the answer to a request that has no session: <body type='terminate' .../>, with @text
 * inside when it is not NULL. For SEE_OTHER_URI @text is the URI, otherwise it is words.
 * @is_legacy: the client sent no `ver`. Returns 0 with *ret_status (200; 400, 403 or 404 for a
 * legacy client) and *ret_blob, or -ENOMEM. */
_must_check_ int bosh_refusal(enum bosh_condition condition, const char *text, bool is_legacy,
			      unsigned *ret_status, struct blob **ret_blob);

/* Makes the session that the request @body creates, which came with @exchange ("Initiating a BOSH
 * Session"). The owner opens stream 0. The answer waits for the features, but never longer than
 * `wait`. @limits is borrowed for the session's life. Returns 0 or -ENOMEM. */
_must_check_ int bosh_session_new(const struct bosh_limits *limits, const char *sid,
				  const struct bosh_body *body, uint64_t exchange, struct mono now,
				  struct bosh_session **ret_session);
struct bosh_session *bosh_session_free(struct bosh_session *session);

/* A further request. Moves what it needs out of @body. After -ENOMEM @exchange is the caller's to
 * answer. */
_must_check_ int bosh_session_request(struct bosh_session *session, uint64_t exchange,
				      struct bosh_body *body, struct mono now,
				      struct bosh_actions *actions);

/* The owner has found that the request @body, which named the session, breaks @rule: the session
 * ends ("Terminal Binding Conditions"). */
_must_check_ int bosh_session_refuse(struct bosh_session *session, uint64_t exchange,
				     const struct bosh_body *body, enum bosh_rule rule,
				     struct bosh_actions *actions);

/* The client's connection broke before @exchange was answered. The slot stays for a repeat ("Broken
 * Connections"); an early request is forgotten. */
void bosh_session_gone(struct bosh_session *session, uint64_t exchange, struct mono now);

/* To be called before a request that comes from another address than the one before it. The
 * client's network has changed, so the connections of held requests may be dead without having been
 * closed. Those requests are still answered and may be repeated, but do not count as being under
 * way ("Overactivity"). */
void bosh_session_moved(struct bosh_session *session);

/* The server of @stream has sent its stream header. @id and @from are borrowed for the call and may
 * be NULL. Returns 0 or -ENOMEM. */
_must_check_ int bosh_session_header(struct bosh_session *session, unsigned stream, const char *id,
				     const char *from);

/* Where to append an element from the server of @stream, with its namespaces declared.
 * @uses_stream: it uses the prefix "stream" without declaring it. @is_features: the features are
 * here, or none will come. */
struct buffer *bosh_session_pending(struct bosh_session *session, unsigned stream, bool uses_stream,
				    bool is_features);

/* The server of @stream manages it (XEP-0198). It knows itself what was not acknowledged, so
 * nothing is returned to it when the session ends; and the stream is not closed, so that it can be
 * resumed. */
void bosh_session_set_managed(struct bosh_session *session, unsigned stream);

/* All elements that arrived together have been appended: answers what can be answered. */
_must_check_ int bosh_session_flush(struct bosh_session *session, struct mono now,
				    struct bosh_actions *actions);

/* The link of @stream is over. The client first gets what is pending, when necessary with its next
 * request. If it was the last stream the session ends; if there are others the client learns the
 * name of this one ("Error Conditions"). */
_must_check_ int bosh_session_fail(struct bosh_session *session, unsigned stream,
				   const struct failure *failure, struct mono now,
				   struct bosh_actions *actions);

/* Ends the session with all its streams, because the owner wants it. If the client is absent, the
 * session also returns what the last answer carried. */
_must_check_ int bosh_session_shut(struct bosh_session *session, const struct failure *failure,
				   struct mono now, struct bosh_actions *actions);

/* Each answer lets the client send more. So while the server of @stream does not keep up, no
 * request is answered earlier than it must be. */
_must_check_ int bosh_session_congest(struct bosh_session *session, unsigned stream,
				      enum bosh_congestion congestion, struct mono now,
				      struct bosh_actions *actions);

/* When to call bosh_session_expire(). */
struct mono bosh_session_deadline(const struct bosh_session *session);
/* When to call it because of a request that lingers, or MONO_NEVER: the only part of the deadline
 * that changes with nearly every request. */
struct mono bosh_session_linger_end(const struct bosh_session *session);
_must_check_ int bosh_session_expire(struct bosh_session *session, struct mono now,
				     struct bosh_actions *actions);

/* After -ENOMEM: gives an exchange that the session will never answer, a different one with each
 * call; 0 when there are none left. */
uint64_t bosh_session_take_exchange(struct bosh_session *session);

/* Bytes of memory that the session holds: requests and payloads of the client that have to wait,
 * what the servers have sent and the client has not got yet, and replies that are kept. */
size_t bosh_session_held(const struct bosh_session *session);

/* After BOSH_ACTION_END: what requests get that come later. The caller owns it. */
struct bosh_last_answer bosh_session_take_last(struct bosh_session *session);
