/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Listening sockets.
 */
#include "common/address.h"
#include "common/macro.h"

enum {
	BIND_BACKLOG = 1024,
};

/* Listens on @address (SO_REUSEPORT: each worker has a socket of its own). *ret_fd is the caller's, non-blocking. Returns 0 or a
 * negative errno. */
_must_check_ int bind_listen(const struct address *address, int *ret_fd);
