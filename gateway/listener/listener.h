/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker's listening sockets. Accepts connections, counts them (policy/census.h), and passes each
 * one to a callback before anything has been read from it, or to socket-policy.h if it came to a
 * port for plug-ins. Refuses peers that the listener does not admit.
 */
#include "gateway/env.h"
#include "gateway/worker-update.h"

struct listener;

struct listener_callbacks {
	/* Takes @wire, which belongs to no hub yet. It has a seat in the census; the hub gives that
	 * back when it closes the wire. Call worker_leave_connection() if it comes to no hub.
	 * @is_proxied: it begins with a PROXY header, and its seat is one of a proxy. */
	void (*connection)(void *userdata, struct wire *wire, bool is_proxied);
};

/* Accepts from the listening sockets of @update, as their listeners in its snapshot say. Takes a
 * reference to that, and duplicates. Returns 0 or a negative errno. */
_must_check_ int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks,
			      void *userdata, const struct worker_update *update,
			      struct listener **ret_listener);

/* Accepts from those of @update instead (acceptor.h). Connections that have been accepted go on as
 * they are. Returns 0 or a negative errno; then the earlier sockets stay. */
_must_check_ int listener_reload(struct listener *listener, const struct worker_update *update);

/* Accepts the connections that wait, and closes the sockets: what waits would be reset. */
void listener_finish(struct listener *listener);

/* Closes the sockets. Takes NULL; returns NULL. */
struct listener *listener_free(struct listener *listener);
