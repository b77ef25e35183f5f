/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker: one thread, one loop, its own listening sockets, HTTP shards, WebSocket context, resolver, TLS contexts, parsers and
 * sessions. Workers share the configuration and the site (read-only) and the census (guarded), and speak by mailboxes.
 *
 * Endpoints (bosh/, ws/) see of the worker what struct worker_env shows.
 */
#include "common/mailbox.h"
#include "gateway/config.h"
#include "gateway/http/site.h"
#include "gateway/ops/client-log.h"
#include "gateway/ops/counters.h"
#include "gateway/xmpp/link.h"

struct worker;

struct worker_env {
	unsigned index;   /* which worker this is */
	unsigned n_workers;
	uv_loop_t *loop;
	const struct config *config;
	const struct site *site;
	struct census *census;
	struct counters *counters;
	struct client_log *client_log;
	struct xml_pool *pool;
	struct link_env link;
	struct mailbox *const *mailboxes; /* of all workers, by index */
};

/* A connection of @peer takes its place in the census, and gives it back when it is closed. The operator's own proxies bring many
 * clients: they are not counted, their clients are by session. Return as census_enter_connection(). */
_must_check_ int worker_enter_connection(struct worker_env *env, const struct address *peer);
void worker_leave_connection(struct worker_env *env, const struct address *peer);

/* Returns whether a line of @kind about @client should be logged, or is only counted
 * (ops/client-log.h). To be asked before each line that a client can cause at will. */
bool worker_may_log(const struct worker_env *env, enum client_log_kind kind,
		    const struct address *client);

/* What all workers get. All borrowed for the workers' life. */
struct worker_shared {
	const struct config *config;
	const struct site *site;
	struct census *census;
	struct counters *counters;
	struct client_log *client_log;
	size_t n_descriptors; /* of descriptors_limit() */
};

/* Prepares worker @index: loop, listeners, all but the thread; 0 is the first. What fails is logged. Returns 0 or a negative
 * errno. */
_must_check_ int worker_new(const struct worker_shared *shared, unsigned index, struct worker **ret_worker);

/* Makes the workers known to each other; before the first is started. */
void worker_connect(struct worker *const *workers, unsigned n_workers);

/* Logs the addresses that it listens on; all workers listen on the same. Before it is asked to end. */
void worker_log_listening(const struct worker *worker);

/* Starts the thread. Returns 0 or a negative errno. */
_must_check_ int worker_start(struct worker *worker);

/* Asks the worker to end its sessions and itself. From any thread. */
void worker_stop(struct worker *worker);

/* Waits for the thread. */
void worker_join(struct worker *worker);

/* After all that were started have been joined; one that was not is ended here. NULL is fine. */
struct worker *worker_free(struct worker *worker);
