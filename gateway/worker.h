/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker is one thread with one loop. It has its own listening sockets, HTTP shards, WebSocket
 * context, resolver, TLS contexts, parsers and sessions. Workers share the configuration and the
 * site, which are read-only, and the census, which is guarded; they send each other messages. The
 * parts of a worker see what gateway/env.h shows.
 */
#include "gateway/env.h"

struct worker;

/* What all workers share. Borrowed for the workers' life. */
struct worker_shared {
	const struct config *config;
	const struct site *site;
	struct census *census;
	struct budget *budget;
	struct metrics *metrics;
	struct client_log *client_log;
	size_t n_descriptors; /* of descriptors_limit() */
};

/* Prepares worker @index, counted from 0, except for its thread. Logs what fails. Returns 0 or a
 * negative errno. */
_must_check_ int worker_new(const struct worker_shared *shared, unsigned index,
			    struct worker **ret_worker);

/* Makes the workers known to each other. Call it before the first is started. */
void worker_connect(struct worker *const *workers, unsigned n_workers);

/* Logs the addresses that the worker listens on, which are the same for all workers. Call it before
 * worker_stop(). */
void worker_log_listening(const struct worker *worker);

/* Starts the thread. Returns 0 or a negative errno. */
_must_check_ int worker_start(struct worker *worker);

/* Asks the worker to end its sessions and then itself. Thread-safe. */
void worker_stop(struct worker *worker);

/* Waits for the thread. */
void worker_join(struct worker *worker);

/* Call it after all started workers have been joined. Also ends a worker that was never started.
 * Takes NULL; returns NULL. */
struct worker *worker_free(struct worker *worker);
