/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The listening sockets of the gateway, held by the supervisor. Servers get duplicates of them, so
 * a connection that waits to be accepted is never lost when a server gives way to the next one, and
 * no connection is refused in between.
 *
 * Each worker should have a socket of its own for each address, because the kernel then distributes
 * the connections (bind.h). A socket that was opened once stays as long as its address is in use,
 * even if the next server has fewer workers: connections may wait in each of them.
 *
 * list      the addresses of one configuration, asked for one by one between sockets_begin() and
 *           sockets_commit() or sockets_abort(). The sockets of the list before stay open until
 *           then: the new ones are bound before the old ones are closed
 * given     a socket that the service manager opened (socket activation). A listener "fd:NAME" has
 *           those of that name. If there are others, they replace the addresses of `listen`, which
 *           are then not listened on: the manager's own file says where to listen
 */
#include "gateway/listener/bind.h"

struct sockets;

_must_check_ int sockets_new(struct sockets **ret_sockets);

/* Closes all sockets. Takes NULL; returns NULL. */
struct sockets *sockets_free(struct sockets *sockets);

/* Takes over @fd from the service manager, also on failure. Returns 0, or -EINVAL if it is no
 * listening stream socket of IPv4, IPv6 or a path, or -ENOMEM. */
_must_check_ int sockets_give(struct sockets *sockets, const char *name, int fd);

/* Begins a list; a list that was not completed is aborted. Places that name given sockets come
 * first. */
void sockets_begin(struct sockets *sockets);

/* The array is borrowed until the next call; the sockets stay this module's. */
struct sockets_found {
	const int *fds;
	size_t n_fds;
	bool are_given; /* instead of those of the place, whatever its address */
};

/* Finds all sockets of @place, which are @n at least, but one for a path: those that are missing
 * are opened. Returns 0 or a negative errno of bind_listen() or bind_unix(); -ENOENT also if no
 * socket of that name was given. */
_must_check_ int sockets_want(struct sockets *sockets, const struct bind_place *place, size_t n,
			      struct sockets_found *ret_found);

/* Closes the sockets that the list did not want. */
void sockets_commit(struct sockets *sockets);

/* Closes the sockets that were opened for the list. */
void sockets_abort(struct sockets *sockets);

/* Closes all sockets but keeps the object: the gateway is being shut down. */
void sockets_close(struct sockets *sockets);
