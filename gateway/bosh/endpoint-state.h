/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the BOSH endpoint. Private to gateway/bosh; users include endpoint.h.
 *
 * entry  a session in the endpoint's table, with its engine and its timer
 * leg    one stream of a session, and its link to a server
 *
 * endpoint.c  finds the session of a request, creates new ones
 * entry.c     connects engine and links: carries out the engine's actions, and reports to it what
 *             arrived
 * waits.c     the timers of sessions
 * leg.c       opens, finds and closes legs, and carries out the actions on one
 */
#include <sys/queue.h>

#include "common/due.h"
#include "common/table.h"
#include "common/timeout.h"
#include "gateway/bosh/ended.h"
#include "gateway/bosh/endpoint.h"
#include "gateway/bosh/session.h"
#include "gateway/bosh/settings.h"
#include "gateway/bosh/sid.h"
#include "gateway/login-guard.h"
#include "gateway/wire/wire.h"

/* One stream of a session, to one server. */
struct bosh_leg {
	SLIST_ENTRY(bosh_leg) in_session;
	struct bosh_entry *entry;
	unsigned stream;   /* its number in the engine */
	struct link *link; /* NULL once it has ended */
	struct mono opened;
	bool is_ready; /* the server's stream header has arrived */
	/* The first leg has the domain's only; the session has the client's. */
	struct admission_seats seats;
	char domain[]; /* in ASCII form (A-labels) */
};

struct bosh_entry {
	UT_hash_handle hh;
	struct bosh_endpoint *endpoint;
	struct bosh_settings *settings;
	struct bosh_session *engine;
	struct session_log log;
	/* A leg that has ended stays until its stream number is reused. */
	SLIST_HEAD(, bosh_leg) legs;
	struct timeout timer;
	struct due_item due; /* queued when a deadline has passed, until the engine is told */
	struct mono armed;   /* the deadline for which the timer is set */
	TAILQ_ENTRY(bosh_entry) in_lingering;
	struct mono lingers_to;       /* when to look at it again; MONO_NEVER: it is in no list */
	struct address client;        /* the one that created the session */
	struct budget_charge charge;  /* for what is held, until a login or for ever */
	struct admission_seats seats; /* the client's */
	struct bucket requests;       /* of the session */
	uint64_t latest_client;       /* client_key() of its latest request */
	bool is_secure;               /* it was created over TLS */
	bool is_logged_in;            /* on one of its streams */
	bool is_foreign;              /* one of its streams is, or was */
	bool is_over;
	const char *content_type;
	char sid[SID_LENGTH + 1];
};

struct bosh_endpoint {
	struct worker_env *env;
	struct bosh_relay *relay;
	struct bosh_entry *sessions; /* uthash by sid */
	struct bosh_ended_table *ended;
	struct bosh_settings *settings; /* of new sessions */
	struct bosh_actions actions;    /* reused for every call of an engine */
	struct due_queue due;           /* sessions with a deadline that has passed */
	/* Sessions with a request that lingers, or has lingered since the list was last gone
	 * through; the first to be looked at first. */
	TAILQ_HEAD(bosh_entries, bosh_entry) lingering;
	uv_timer_t linger; /* active while there are any */
};

/* The target of a stream, as the client requested it. */
struct bosh_target {
	struct sv to, from, lang, version, route;
};

static inline struct mono bosh_endpoint_now(const struct bosh_endpoint *endpoint)
{
	return worker_now(endpoint->env);
}

/* The time of the ended sessions. */
static inline struct mono bosh_endpoint_ended_now(const struct bosh_endpoint *endpoint)
{
	return (struct mono){(int64_t)wire_hub_seconds(endpoint->env->hub) * 1000};
}

/* entry.c */

/* Carries out the engine's actions, including those that result from carrying them out, and sets
 * the timer. @r is what the engine returned; -ENOMEM ends the session. Any of the actions may end
 * it, too. */
void bosh_entry_settle(struct bosh_entry *entry, int r);

/* For bosh_waits_init(): a deadline of the session has passed. */
void bosh_entry_on_due(struct due_item *item);

/* Ends the session because of @failure, which the client is told. */
void bosh_entry_shut(struct bosh_entry *entry, const struct failure *failure);

/* Returns the charge of a session that holds nothing yet. */
struct budget_charge bosh_entry_charge_init(const struct bosh_endpoint *endpoint);

/* Starts connecting to the server of @stream, as @admission allows. Consumes the seats of
 * @admission, even on failure. Returns 0 or -ENOMEM. */
_must_check_ int bosh_entry_open_leg(struct bosh_entry *entry, unsigned stream,
				     const struct bosh_target *target, struct admission *admission);

/* waits.c */

/* @on_due: as for due_queue_init(). */
void bosh_waits_init(struct bosh_endpoint *endpoint, void (*on_due)(struct due_item *item));
void bosh_waits_close(struct bosh_endpoint *endpoint);

/* Puts the session into the due queue when the engine's deadline has passed, or earlier. */
void bosh_entry_arm(struct bosh_entry *entry);

/* The session is over: it is not put into the queue any more. */
void bosh_entry_disarm(struct bosh_entry *entry);

/* leg.c */

/* Returns the leg of @stream, or NULL. */
struct bosh_leg *bosh_leg_find(const struct bosh_entry *entry, unsigned stream);

/* Creates the leg of @stream, without a link, and frees the previous leg of that number, which must
 * have ended. Returns NULL if out of memory. */
struct bosh_leg *bosh_leg_new(struct bosh_entry *entry, unsigned stream, const char *domain);

/* Creates the leg of @stream and its link, which calls @callbacks with the leg. Consumes the seats
 * of @admission, even on failure. Returns 0 or -ENOMEM. */
_must_check_ int bosh_leg_open(struct bosh_entry *entry, unsigned stream,
			       const struct bosh_target *target, struct admission *admission,
			       const struct link_callbacks *callbacks);

/* Closes the link of @leg, orderly or (@must_drop) without closing the stream, and gives its seats
 * back. */
void bosh_leg_close(struct bosh_leg *leg, bool must_drop);

/* Logs and counts @failure of @leg, and tells the engine. Returns what the engine returned. */
_must_check_ int bosh_leg_fail(struct bosh_leg *leg, const struct failure *failure);

/* Drops the link of @leg because of a failure of @kind. Returns as above. */
_must_check_ int bosh_leg_break(struct bosh_leg *leg, enum failure_kind kind);

/* What an action of the engine says about a stream to open or to restart. Views into @texts. */
struct bosh_target bosh_target_read(const struct buffer *texts);

/* Carries out @action on a stream that has a link. Returns 0, LINK_E_* after which the stream
 * cannot go on, or a negative errno after which the session cannot. */
_must_check_ int bosh_leg_carry_out(struct bosh_leg *leg, const struct bosh_action *action);
