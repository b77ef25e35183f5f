/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Accepts connections on a worker's listening sockets, and passes them on. The sockets can be
 * replaced while the worker serves (a reload).
 *
 * When descriptors or memory are exhausted, it stops accepting for ACCEPTOR_PAUSE_MS: the sockets
 * stay readable, and the loop would otherwise turn without a pause.
 */
#include <uv.h>

#include "common/address.h"

struct acceptor;

enum {
	/* Connections accepted per socket and iteration of the loop, so that existing sessions get
	 * their turn. */
	ACCEPTOR_BATCH = 64,
	ACCEPTOR_PAUSE_MS = 1000,
};

/* Gets each connection: @fd is non-blocking and belongs to the callee. */
typedef void (*acceptor_accepted)(void *userdata, int fd, const struct address *peer);

/* Makes an acceptor without sockets. Returns 0 or -ENOMEM. */
_must_check_ int acceptor_new(uv_loop_t *loop, acceptor_accepted accepted, void *userdata,
			      struct acceptor **ret_acceptor);

/* Accepts from @fds from now on, which are duplicated, and no longer from the earlier sockets:
 * connections that wait in those are accepted before they are closed. On failure the earlier ones
 * stay. Returns 0 or a negative errno. */
_must_check_ int acceptor_set(struct acceptor *acceptor, const int *fds, size_t n_fds);

/* Closes the sockets; memory is freed in a later iteration of the loop. Takes NULL; returns
 * NULL. */
struct acceptor *acceptor_free(struct acceptor *acceptor);
