/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker: one thread, one loop, its own listening sockets, HTTP shards, WebSocket context, resolver,
 * TLS contexts, parsers and sessions. Workers share the configuration and the site (read-only) and the
 * census (guarded), and send each other messages. Its parts know of it what gateway/env.h shows.
 */
#include "gateway/env.h"

struct worker;

/* What all workers get. All borrowed for the workers' life. */
struct worker_shared {
	const struct config *config;
	const struct site *site;
	struct census *census;
	struct budget *budget;
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
