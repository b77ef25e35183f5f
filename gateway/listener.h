/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker's listening sockets. Accepts connections, counts them (policy/census.h), and passes
 * each one to a callback before anything has been read from it, or to socket-policy.h if it came to
 * a port for plug-ins.
 */
#include "gateway/env.h"

struct listener;

struct listener_callbacks {
	/* Takes @wire, which belongs to no hub yet. It has a seat in the census; the hub gives that
	 * back when it closes the wire. Call worker_leave_connection() if it comes to no hub. */
	void (*connection)(void *userdata, struct wire *wire);
};

/* Accepts from the listening sockets @fds, which are duplicated. Returns 0 or a negative errno. */
_must_check_ int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks,
			      void *userdata, const int *fds, size_t n_fds,
			      struct listener **ret_listener);

/* The configuration of @env has been replaced, and with it the listening sockets (acceptor.h).
 * Returns 0 or a negative errno; then the earlier
 * sockets stay. */
_must_check_ int listener_reload(struct listener *listener, const int *fds, size_t n_fds);

/* Closes the sockets. Takes NULL; returns NULL. */
struct listener *listener_free(struct listener *listener);
