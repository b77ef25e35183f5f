/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker's listening sockets. Accepts connections, counts them (policy/census.h), peeks at their
 * first bytes without consuming them (peek.h), and passes each connection to a callback, or to
 * socket-policy.h if a plug-in asks for a socket policy.
 *
 * waiting  an accepted connection that has not sent enough to be classified; it costs a descriptor
 *          and a few bytes, and is closed after header_timeout
 */
#include "gateway/env.h"
#include "gateway/peek.h"

struct listener;

struct listener_callbacks {
	/* The callee takes ownership of @fd, from which nothing has been read. The views of @peek
	 * are borrowed for the call. Call worker_leave_connection() when the connection is
	 * closed. */
	void (*connection)(void *userdata, int fd, const struct address *peer,
			   const struct peek *peek);
};

/* Accepts from the listening sockets @fds, which are duplicated. Returns 0 or a negative errno. */
_must_check_ int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks,
			      void *userdata, const int *fds, size_t n_fds,
			      struct listener **ret_listener);

/* The configuration of @env has been replaced, and with it the listening sockets (acceptor.h).
 * Connections that wait are judged by the new one. Returns 0 or a negative errno; then the earlier
 * sockets stay. */
_must_check_ int listener_reload(struct listener *listener, const int *fds, size_t n_fds);

/* Closes the sockets and the waiting connections; memory is freed in a later iteration of the loop.
 * @listener may be NULL. Returns NULL. */
struct listener *listener_free(struct listener *listener);
