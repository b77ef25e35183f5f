/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker's listening sockets. Accepts connections, counts them (policy/census.h), peeks at their
 * first bytes without consuming them (peek.h), and passes each connection to a callback.
 *
 * waiting  an accepted connection that has not sent enough to be classified; it costs a descriptor
 *          and a few bytes, and is closed after header_timeout
 */
#include "gateway/env.h"
#include "gateway/peek.h"

struct listener;

enum {
	/* Connections accepted per socket and iteration of the loop, so that existing sessions get
	 * their turn. */
	LISTENER_ACCEPTS_MAX = 64,
};

struct listener_callbacks {
	/* The callee takes ownership of @fd, from which nothing has been read. The views of @peek
	 * are borrowed for the call. Call worker_leave_connection() when the connection is
	 * closed. */
	void (*connection)(void *userdata, int fd, const struct address *peer,
			   const struct peek *peek);
};

/* Opens the sockets of the configuration. The first worker's are the claims (gateway/bind.h), so
 * its listener must be created first. Each address that cannot be bound is logged and is an error,
 * with one exception: addresses of the built-in default that this machine does not support are
 * skipped. Returns 0 or a negative errno. */
_must_check_ int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks,
			      void *userdata, struct listener **ret_listener);

/* Logs the addresses on which @listener listens. */
void listener_log(const struct listener *listener);

/* Closes the sockets and the waiting connections; memory is freed in a later iteration of the loop.
 * @listener may be NULL. Returns NULL. */
struct listener *listener_free(struct listener *listener);
