/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a worker shows to its parts: the listener, the HTTP server and the endpoints (bosh/, ws/).
 * They know this struct and not the worker.
 *
 * peer    the address at the other end of a connection
 * client  who is behind it: the peer itself, or whom a trusted proxy names
 */
#include <sys/queue.h>

#include "common/mailbox.h"
#include "gateway/config/config.h"
#include "gateway/ops/client-log.h"
#include "gateway/ops/metrics.h"
#include "gateway/process/state.h"
#include "gateway/wire/wire.h"
#include "gateway/xmpp/link-env.h"
#include "policy/throttle.h"

struct http_date;
struct site;
struct doors;
struct socket_policy;
struct session_log;

/* All pointers are borrowed and outlive the parts, except for `config` and `site`, which a reload
 * replaces: they are the newest, and valid for one callback of the loop. What lives longer takes a
 * reference (config_ref()) or a copy. */
struct worker_env {
	unsigned index; /* which worker this is */
	unsigned n_workers;
	uv_loop_t *loop;
	const struct config *config;
	const struct site *site;
	struct socket_policy *socket_policy;
	struct process_state *process;
	struct doors *doors; /* to the other servers, while an upgrade is under way */
	struct census *census;
	struct throttle *throttle;
	struct budget *budget;         /* before the login */
	struct budget *foreign_budget; /* after it, of foreign sessions (admission.h) */
	struct metrics_cell *metrics;  /* of this worker */
	struct client_log *client_log;
	struct xml_pool *pool;
	struct http_date *date;  /* of the answers to clients */
	struct wire_hub *hub;    /* of the clients' connections */
	struct turn *turn;       /* who of them comes first */
	struct mailbox *mailbox; /* of this worker: the others post to it */
	struct link_env link;
	LIST_HEAD(open_sessions, session_log) sessions; /* open ones; session-log.h keeps it */
	bool is_stopping;                               /* no session is opened any more */
};

/* The time of the worker's loop. */
struct mono worker_now(const struct worker_env *env);

/* Whether the gateway is to end, and opens no sessions any more. A retired server is not draining
 * in this sense: the next one opens them. */
bool worker_is_draining(const struct worker_env *env);

/* Whether the limits for one client do not apply to @client, because the operator says so. */
bool worker_is_exempt(const struct worker_env *env, const struct address *client);

/* Whether a session of @client, whose bucket is @requests, may make one more request (BOSH) or send
 * one more message (WebSocket). If not, the refusal has been counted. */
_must_check_ bool worker_takes_request(struct worker_env *env, const struct address *client,
				       struct bucket *requests);

/* A connection of @peer takes a seat in the census. The operator's own proxies carry many clients:
 * they are exempt from what one client may have, their clients are not. Returns NULL, or the name
 * of the limit that refuses the connection; the refusal has been counted. */
_must_check_ const char *worker_enter_connection(struct worker_env *env,
						 const struct address *peer);

/* The connection of @peer is closed, or goes to another process: gives its seat back. */
void worker_leave_connection(struct worker_env *env, const struct address *peer);

/* As worker_enter_connection(), for a connection that another server has passed, and whose rate it
 * has judged. An earlier server judges how many the client has, since those that it got do not
 * count at its successor any more, and a client can lead any number to it. A successor does not:
 * what it gets was within the limit of the earlier one, and no client is to lose a connection
 * because of an upgrade. */
_must_check_ const char *worker_enter_passed(struct worker_env *env, const struct address *peer);

/* As worker_enter_connection(), for @proxy, on a listener where only proxies may connect: the
 * limits for one client do not apply to it. The client that it names takes the seat over by
 * worker_change_client(). */
_must_check_ const char *worker_enter_proxy(struct worker_env *env, const struct address *proxy);

/* The seat of @proxy becomes one of @client, if that may have one. Otherwise it is given back, and
 * the name of the limit is returned. */
_must_check_ const char *worker_change_client(struct worker_env *env, const struct address *proxy,
					      const struct address *client);

/* @client opens a WebSocket through a proxy, whose connection has a seat already: counts it among
 * the connections of the client. Returns as worker_enter_connection(). */
_must_check_ const char *worker_enter_forwarded(struct worker_env *env,
						const struct address *client);
void worker_leave_forwarded(struct worker_env *env, const struct address *client);

/* Returns whether a line of @kind about @client should be logged, or is only counted
 * (ops/client-log.h). Ask before each line that a client can cause at will. */
bool worker_may_log(const struct worker_env *env, enum client_log_kind kind,
		    const struct address *client);
