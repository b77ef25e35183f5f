/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The admin listener: metrics, health, status and sessions, over HTTP, for the operator alone. It
 * has a thread and a socket of its own (admin-socket.h) and no way in from the public port.
 *
 *     GET  /metrics   for Prometheus (exposition.h)
 *     GET  /healthz   200, or 503 until every worker has begun, when a worker's loop hangs, or
 *                     while draining, unless another server has taken over
 *     GET  /readyz    the same
 *     GET  /status    JSON; a page for people who ask for text/html; text for a terminal
 *     GET  /sessions  the open sessions, as JSON or text
 *     POST /kick?session=NAME[&client=ADDRESS]  ends a session
 *
 * Whoever reaches the socket may ask: there are no passwords, so it belongs to the loopback
 * interface or into a folder. A web page that the operator visits must not get there through the
 * browser, so what names clients is refused when Host is a name (DNS rebinding), and a kick when
 * the browser says that a page asked (Origin).
 *
 * The thread also takes the samples for the status (samples.h).
 */
#include "gateway/ops/status.h"

struct admin;

/* All pointers are borrowed until admin_free(), except for @place, which is copied. */
struct admin_options {
	const char *place; /* where it listens; see admin-socket.h */
	const struct config *config;
	const struct process_state *process;
	const struct metrics *metrics;
	struct worker_env *const *envs; /* of all workers, metrics->n_cells */
};

enum {
	/* Bounds what a stranger on the same machine can hold open. */
	ADMIN_CONNECTIONS_MAX = 32,
	ADMIN_TIMEOUT_S = 5,
	/* How long the end waits for requests that are under way. A client that never completes its
	 * request must not keep the process. */
	ADMIN_DRAIN_MS = 1000,
};

/* Opens the socket and starts the thread. Returns 0 or a negative errno. */
_must_check_ int admin_new(const struct admin_options *options, struct admin **ret_admin);

/* Another process has taken over: the socket is closed as soon as the connections that wait in it
 * are accepted. They, and those with a request under way, get their answers, for up to
 * ADMIN_DRAIN_MS; then the thread ends. Does not wait for that. @admin may be NULL. */
void admin_retire(struct admin *admin);

/* Likewise, and waits for the end of the thread. Call it when the workers' threads have ended and
 * before the workers are freed: until then the health can be asked for. Takes NULL; returns
 * NULL. */
struct admin *admin_free(struct admin *admin);

/* Requests that begin from now on report about @config. The former one may be freed when this
 * returns. @admin may be NULL. Thread-safe. */
void admin_set_config(struct admin *admin, const struct config *config);
