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
 * kept      an answer that was given, for a repeat of its request
 * pending   bytes from the server that no answer has taken yet
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
#include "gateway/failure.h"

struct bosh_session;

enum {
	/* Repeats of one held request: a way around the limits of polling. */
	BOSH_REPEATS_MAX = 8,
	/* The protocol version spoken here: 1.11. */
	BOSH_VER_MAJOR = 1,
	BOSH_VER_MINOR = 11,
};

struct bosh_limits {
	unsigned wait_s, hold, inactivity_s, polling_s;
	size_t n_pending_max; /* above it the server is not read: memory of a client that is not there */
};

enum bosh_action_kind {
	BOSH_ACTION_ANSWER,  /* answer `exchange` with `status` and `blob` (a reference of the taker's) */
	BOSH_ACTION_SEND,    /* `payloads` (the taker's) to the server */
	BOSH_ACTION_RESTART, /* a new stream header; `payloads` has to, from, lang, version as four C strings */
	BOSH_ACTION_CLOSE,   /* the client said goodbye: close the stream */
	BOSH_ACTION_PAUSE,   /* read no more from the server */
	BOSH_ACTION_RESUME,
	BOSH_ACTION_END,     /* the session is over: drop what is left of the link, forget the sid */
};

struct bosh_action {
	enum bosh_action_kind kind;
	unsigned status;
	uint64_t exchange;
	struct blob *blob;
	struct buffer payloads;
};

struct bosh_actions {
	struct bosh_action *items;
	size_t n, size;
};

/* Terminal conditions that the engine and its owner say by themselves; those of the server side come as a failure. */
#define BOSH_CONDITIONS(X)                                                                         \
	X(NONE, "", 200)                                                                           \
	X(BAD_REQUEST, "bad-request", 400)                                                         \
	X(POLICY_VIOLATION, "policy-violation", 403)                                               \
	X(ITEM_NOT_FOUND, "item-not-found", 404)                                                   \
	X(IMPROPER_ADDRESSING, "improper-addressing", 200)                                         \
	X(HOST_UNKNOWN, "host-unknown", 200)                                                       \
	X(INTERNAL_SERVER_ERROR, "internal-server-error", 200)                                     \
	X(OTHER_REQUEST, "other-request", 200)

enum bosh_condition {
#define X(id, name, legacy_status) BOSH_CONDITION_##id,
	BOSH_CONDITIONS(X)
#undef X
};

/* Releases what actions still own and the list itself. */
void bosh_actions_deinit(struct bosh_actions *actions);

/* The answer for a request that has no session: <body type='terminate' .../>, with @text inside when it is not NULL. Returns 0
 * with *ret_status (200, or 400/403/404 for a legacy client: one that sent no `ver`) and *ret_blob, or -ENOMEM. */
_must_check_ int bosh_refusal(enum bosh_condition condition, const char *text, bool legacy,
			      unsigned *ret_status, struct blob **ret_blob);

/* Makes the session of the creation request @body, which @exchange brought ("Initiating a BOSH Session"). The answer waits for the
 * features, never beyond `wait`. @limits is borrowed for the session's life. Returns 0 or -ENOMEM. */
_must_check_ int bosh_session_new(const struct bosh_limits *limits, const char *sid,
				  const struct bosh_body *body, uint64_t exchange, struct mono now,
				  struct bosh_session **ret_session);
struct bosh_session *bosh_session_free(struct bosh_session *session);

/* A further request. What it needs of @body it moves out of it. Returns 0 or -ENOMEM: then the session is to be
 * freed. So for all calls with @actions. */
_must_check_ int bosh_session_request(struct bosh_session *session, uint64_t exchange, struct bosh_body *body,
				      struct mono now, struct bosh_actions *actions);

/* A request that named the session could not be understood: the session ends ("Terminal Binding Conditions"). */
_must_check_ int bosh_session_refuse(struct bosh_session *session, uint64_t exchange,
				     enum bosh_condition condition, struct bosh_actions *actions);

/* The client's connection broke while @exchange was unanswered. Its slot stays for a repeat ("Broken Connections"). */
void bosh_session_gone(struct bosh_session *session, uint64_t exchange, struct mono now);

/* The server's header came: its `id` and `from`, borrowed for the call; may be NULL. */
_must_check_ int bosh_session_header(struct bosh_session *session, const char *id, const char *from);

/* Where elements from the server are appended, each completed. @uses_stream: the element is of the streams namespace.
 * @is_features: the features are here, or there will be none. */
struct buffer *bosh_session_pending(struct bosh_session *session, bool uses_stream, bool is_features);

/* All that arrived together has been appended: answers what can be answered. */
_must_check_ int bosh_session_flush(struct bosh_session *session, struct mono now,
				    struct bosh_actions *actions);

/* The link is over. What is pending is told before; when no request is held it waits for the next. */
_must_check_ int bosh_session_fail(struct bosh_session *session, const struct failure *failure,
				   struct mono now, struct bosh_actions *actions);

/* While the server does not keep up, requests are not answered earlier than they must be. */
_must_check_ int bosh_session_congest(struct bosh_session *session, bool congested, struct mono now,
				      struct bosh_actions *actions);

/* When bosh_session_expire() wants to be called. */
struct mono bosh_session_deadline(const struct bosh_session *session);
_must_check_ int bosh_session_expire(struct bosh_session *session, struct mono now,
				     struct bosh_actions *actions);

const char *bosh_session_sid(const struct bosh_session *session);
