/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The socket of the admin listener: at an IP address and port, or a path in the file system.
 *
 * Two processes may have it at the same time while one takes over from the other: they share the
 * port (SO_REUSEPORT), or the newer one takes the path.
 */
#include <sys/types.h>

#include "common/macro.h"

struct admin_socket {
	int fd;           /* negative: closed */
	dev_t device;     /* of the path's socket, to remove no other */
	ino_t inode;      /* likewise */
	const char *path; /* borrowed; NULL: an address */
};

enum {
	ADMIN_BACKLOG = 16,
	/* Who may ask over the path's socket: the user and the group of the gateway. */
	ADMIN_SOCKET_MODE = 0660,
};

/* Listens at @place ("127.0.0.1:5281", "/run/doab/admin"), borrowed until admin_socket_close().
 * Returns 0 or a negative errno. */
_must_check_ int admin_socket_open(const char *place, struct admin_socket *ret_socket);

/* Closes the socket, and removes its path unless another process has taken it. May run twice. */
void admin_socket_close(struct admin_socket *admin);

/* Connects to the admin listener at @place. Returns the descriptor or a negative errno. */
_must_check_ int admin_socket_connect(const char *place);
