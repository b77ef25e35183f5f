/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Unix sockets to listen on. The socket of a program that has been killed stays in the file system
 * and is replaced; the socket of a program that is running never is.
 *
 * stale  a socket on which nobody listens
 *
 * Only for a process of one thread: it sets the file mode creation mask for a moment.
 */
#include <sys/types.h>

#include "gateway/listener/bind.h"

/* The socket that was made, and no other one of that name. */
struct bind_file {
	dev_t device;
	ino_t inode;
};

/* Listens on the path of @place, with its permissions from the beginning on. The caller owns
 * *ret_fd, which is non-blocking. Returns 0 or a negative errno: -EADDRINUSE if another process
 * listens there, -EEXIST if the name is that of a file that is no socket, -EACCES or -ENOENT if it
 * is no folder to write to, -EPERM if the program's user is not in the group. */
_must_check_ int bind_unix(const struct bind_place *place, struct bind_file *ret_file, int *ret_fd);

/* Gives the socket @file the permissions and the group of @place. Returns 0 or a negative errno. */
_must_check_ int bind_unix_permit(const struct bind_place *place, const struct bind_file *file);

/* Whether @path still names the socket @file. */
bool bind_unix_is(const char *path, const struct bind_file *file);

/* Removes the socket @file, if it still has the name. */
void bind_unix_remove(const char *path, const struct bind_file *file);
