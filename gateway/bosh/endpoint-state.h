/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of the BOSH endpoint. Private to gateway/bosh; who uses it reads endpoint.h.
 *
 * entry  a session in the endpoint's table, with its engine and its timer
 * leg    one stream of a session, and its link to a server
 *
 * endpoint.c      finds the session of a request, makes new ones
 * entry.c         where engine and links meet: carries out what the engine decides, tells it what came
 * leg.c           opens, finds and closes legs
 */
/* uthash ends the process when it gets no memory, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <sys/queue.h>
#include <uthash.h>

#include "common/due.h"
#include "gateway/bosh/endpoint.h"
#include "gateway/bosh/session.h"
#include "gateway/bosh/sid.h"
#include "gateway/session-log.h"

/* A stream of a session: one way to a server. */
struct bosh_leg {
	SLIST_ENTRY(bosh_leg) in_session;
	struct bosh_entry *session;
	unsigned stream;   /* its number in the engine */
	struct link *link; /* NULL when it is over */
	struct mono opened;
	bool is_ready;     /* its server's header has come */
	struct admission_seats seats; /* of the first leg the domain's only: the session has the other */
	char domain[];     /* ascii form */
};

struct bosh_entry {
	UT_hash_handle hh;
	struct bosh_endpoint *endpoint;
	struct bosh_session *engine;
	struct session_log log;
	SLIST_HEAD(, bosh_leg) legs; /* one that is over stays until its stream's number is wanted again */
	uv_timer_t timer;
	struct due_item due; /* the timer has run out, and the engine has not been told yet */
	struct mono armed; /* what the timer runs for */
	struct address client;  /* that made it */
	struct budget_charge charge;  /* for what it holds until the client has logged in */
	struct admission_seats seats; /* the client's */
	uint64_t latest_client; /* client_key() of its latest request */
	bool secure;            /* it was made over TLS */
	bool logged_in;         /* on one of its streams */
	bool over;
	const char *content_type;
	char sid[SID_LENGTH + 1];
};

struct bosh_endpoint {
	struct worker_env *env;
	struct bosh_relay *relay;
	struct bosh_entry *sessions; /* uthash by sid */
	struct bosh_limits limits;
	struct bosh_actions actions; /* the list is used again and again */
	struct due_queue due; /* sessions whose timer has run out */
};

/* Where a stream is to lead, in the client's words. */
struct bosh_target {
	struct sv to, from, lang, version, route;
};

static inline struct mono bosh_endpoint_now(const struct bosh_endpoint *endpoint)
{
	return worker_now(endpoint->env);
}

/* entry.c */

/* Carries out the actions that the engine gave, and those that they bring about, and sets the timer. @r is what the engine
 * returned: out of memory ends the session, which may be over afterwards in any case. */
void bosh_entry_settle(struct bosh_entry *session, int r);

/* Sets the timer for the engine's deadline. */
void bosh_entry_arm(struct bosh_entry *session);

/* For due_queue_init(): the session's deadline has passed. */
void bosh_entry_on_due(struct due_item *item);

/* The session is over: it is forgotten now, its memory goes at a later turn. */
void bosh_entry_end(struct bosh_entry *session);

/* Ends the session because of @failure, which the client is told. */
void bosh_entry_shut(struct bosh_entry *session, const struct failure *failure);

/* The charge of a session that holds nothing yet. */
struct budget_charge bosh_entry_charge_init(const struct bosh_endpoint *endpoint);

/* Starts to reach the server of @stream, as @admission allows it; the leg takes its seats, also on
 * failure. Returns 0 or -ENOMEM. */
_must_check_ int bosh_entry_open_leg(struct bosh_entry *session, unsigned stream,
				     const struct bosh_target *target, struct admission *admission);

/* leg.c */

/* The leg of @stream, or NULL. */
struct bosh_leg *bosh_leg_find(const struct bosh_entry *session, unsigned stream);

/* Makes the leg of @stream, without a link. A former one of that number is over, and nothing calls it
 * back. Returns NULL without memory. */
struct bosh_leg *bosh_leg_new(struct bosh_entry *session, unsigned stream, const char *domain);

/* Makes the leg of @stream and its link, which reports to @callbacks with the leg. The leg takes the seats
 * of @admission, also on failure. Returns 0 or -ENOMEM. */
_must_check_ int bosh_leg_open(struct bosh_entry *session, unsigned stream,
			       const struct bosh_target *target, struct admission *admission,
			       const struct link_callbacks *callbacks);

/* Ends the link of @leg, in order or (@drop) without a word, and gives its seats back. */
void bosh_leg_close(struct bosh_leg *leg, bool drop);
