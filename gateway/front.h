/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The clients' connections of a worker: has the hub, and gives each connection to the part that
 * serves it, by its first bytes (to another worker or server: front-owner.h).
 *
 *     accepted -> PROXY header and TLS, where the listener says so (arrivals.h)
 *              -> reader (http/reader.h) -> the owner of a session on another worker (handover.h)
 *                                        -> what does not speak HTTP: logged and closed
 *                                        -> a WebSocket, by http_exchange_detach()
 */
#include "gateway/listener/arrivals.h"
#include "gateway/handover.h"
#include "gateway/http/reader.h"

/* @userdata is that of front_init(). */
struct front_callbacks {
	/* A request is complete. Answer it now or later. Returns false if it was answered here and
	 * now, and a refusal is to be logged. */
	bool (*request)(void *userdata, struct http_exchange *exchange);
	/* As the members of http_options of these names. */
	bool (*prepare)(void *userdata, struct http_exchange *exchange, size_t n_portion);
	void (*gone)(void *userdata, struct http_exchange *exchange);
	void (*done)(void *userdata, struct http_exchange *exchange);
	/* Runs in the worker that has the session: call its front_take(). */
	handover_taken handed_over;
};

/* Private to front*.c. */
struct front {
	struct worker_env *env;
	struct front_callbacks callbacks;
	void *userdata;
	struct mailbox *const *mailboxes; /* of all workers, by index */
	struct coder *coder;              /* NULL: content codings are off */
	struct arrivals *arrivals;
	struct http_reader *reader;
};

/* Sets env->hub. @front and @env must stay where they are. Call front_close() and front_deinit()
 * also after a failure. Returns 0 or a negative errno. */
_must_check_ int front_init(struct front *front, struct worker_env *env,
			    const struct front_callbacks *callbacks, void *userdata);

/* The configuration has been replaced. Returns 0, or -ENOMEM; then content codings are not
 * supported. */
_must_check_ int front_reload(struct front *front);

/* Makes the mailboxes of all workers known, by their index; they are borrowed. */
void front_connect(struct front *front, struct mailbox *const *mailboxes);

/* Serves an accepted connection: takes @wire, which belongs to no hub and has a seat in the census;
 * @is_proxied: one of a proxy, which sends a PROXY header. */
void front_accept(struct front *front, struct wire *wire, bool is_proxied);

/* Likewise, for a connection that another worker has handed over. */
void front_take(struct front *front, struct wire *wire);

/* Gives the connections on which nothing is due to the server that has taken over, if there is
 * one. */
void front_give_idle(struct front *front);

/* Whether a client waits for an answer. */
bool front_is_busy(const struct front *front);

/* Closes all connections and handles. May run twice. */
void front_close(struct front *front);

/* Call it when the loop has no active handles left. */
void front_deinit(struct front *front);
