/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker's listening sockets: accepts, counts (policy/census.h), looks at the first bytes without taking them (peek.h), and gives
 * the connection to who is to have it.
 *
 * waiting  an accepted connection that has not said enough yet; it costs a descriptor and a few bytes, and is closed after
 *          header_timeout
 */
#include "gateway/env.h"
#include "gateway/peek.h"

struct listener;

enum {
	/* Connections accepted in one turn of the loop: fair to the sessions that there are. */
	LISTENER_ACCEPTS_MAX = 64,
};

struct listener_callbacks {
	/* @fd is the callee's; nothing has been read off it. @peek's views are borrowed for the call. Who closes the connection calls
	 * worker_leave_connection(). */
	void (*connection)(void *userdata, int fd, const struct address *peer, const struct peek *peek);
};

/* Opens the sockets of the configuration (gateway/bind.h; the first worker's are the claims, so it is made before the others). An
 * address that cannot be had is logged and an error; only of the built-in default one may be left out that this machine does not have.
 * Returns 0 or a negative errno. */
_must_check_ int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks,
			      void *userdata, struct listener **ret_listener);

/* Logs the addresses that it listens on. */
void listener_log(const struct listener *listener);

/* Closes the sockets and what waits; memory goes at a later turn. NULL is fine. */
struct listener *listener_free(struct listener *listener);
