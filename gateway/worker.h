/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker is one thread with one loop. It has its own listening sockets, HTTP and WebSocket
 * servers, resolver, TLS contexts for XMPP servers, parsers and sessions. Workers share a snapshot
 * of the configuration with the site and the listeners' TLS contexts, which is read-only, and the
 * tables of policy/, which are guarded; they send each other messages. The parts of a worker see
 * what gateway/env.h shows.
 */
#include "gateway/env.h"
#include "gateway/listener/listening.h"
#include "gateway/snapshot.h"

struct worker;

/* What all workers share. Borrowed for the workers' life, but for the snapshot and the sockets,
 * which are those of the start. */
struct worker_shared {
	struct snapshot *snapshot;
	const struct listening *listening;
	unsigned n_workers;
	struct process_state *process;
	struct doors *doors;
	struct census *census;
	struct throttle *throttle;
	struct known_keys *known_keys;
	struct budget *budget;
	struct budget *foreign_budget;
	struct metrics *metrics;
	struct client_log *client_log;
	/* What each worker shows to its parts, by index. Other threads may use the mailboxes until
	 * worker_free(). */
	struct worker_env **envs;
	size_t n_descriptors; /* of descriptors_limit() */
};

/* Prepares worker @index, counted from 0, except for its thread. Logs what fails. Returns 0 or a
 * negative errno. */
_must_check_ int worker_new(const struct worker_shared *shared, unsigned index,
			    struct worker **ret_worker);

/* Makes the workers known to each other. Call it before the first is started. */
void worker_connect(struct worker *const *workers, unsigned n_workers);

/* Starts the thread, which waits for worker_release(). Returns 0 or a negative errno. */
_must_check_ int worker_start(struct worker *worker);

/* Lets a worker that was started serve. Clients that have connected before wait in the kernel. */
void worker_release(struct worker *worker);

/* Asks the workers to use @snapshot and the sockets of @listening from now on; @listening is
 * borrowed for the call. Their sessions go on with the configuration that they were opened with.
 * Thread-safe. Returns 0 or a negative errno. On failure all workers keep what they had. */
_must_check_ int workers_reload(struct worker *const *workers, unsigned n_workers,
				struct snapshot *snapshot, const struct listening *listening);

/* Gives the worker a connection that another server has passed (door.h). Takes @fd. Thread-safe. */
void worker_take(struct worker *worker, int fd, const struct wire_peer *peer);

/* Asks the worker to close its listening sockets and to go on with its sessions. Thread-safe. */
void worker_drain(struct worker *worker);

/* Asks the worker to free what it keeps only because it may need it again. Thread-safe. */
void worker_trim(struct worker *worker);

/* Asks the worker to end its sessions and then itself. Thread-safe. */
void worker_stop(struct worker *worker);

/* Waits for the thread. */
void worker_join(struct worker *worker);

/* Call it after all started workers have been joined. Also ends a worker that was never started.
 * Takes NULL; returns NULL. */
struct worker *worker_free(struct worker *worker);
