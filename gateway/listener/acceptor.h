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
	/* Accepted from a socket that is being closed. No more can wait than its backlog, which is
	 * shorter, and clients may go on connecting. */
	ACCEPTOR_REST_MAX = 65535,
};

/* A listening socket. */
struct acceptor_socket {
	int fd;
	int listener; /* whose it is: for the callee of acceptor_accepted */
};

/* Gets each connection: @fd is non-blocking and belongs to the callee. The peer of a unix socket is
 * 127.0.0.1, without a port. */
typedef void (*acceptor_accepted)(void *userdata, int fd, const struct address *peer, int listener);

/* Makes an acceptor without sockets. Returns 0 or -ENOMEM. */
_must_check_ int acceptor_new(uv_loop_t *loop, acceptor_accepted accepted, void *userdata,
			      struct acceptor **ret_acceptor);

/* Accepts from @sockets from now on, which are duplicated, and no longer from the earlier sockets:
 * connections that wait in those are accepted before they are closed. On failure the earlier ones
 * stay. Returns 0 or a negative errno. */
_must_check_ int acceptor_set(struct acceptor *acceptor, const struct acceptor_socket *sockets,
			      size_t n_sockets);

/* Closes the sockets; memory is freed in a later iteration of the loop. Takes NULL; returns
 * NULL. */
struct acceptor *acceptor_free(struct acceptor *acceptor);
