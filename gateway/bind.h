/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Listening sockets. Each worker has its own socket for each address, and the kernel distributes
 * the connections among them (SO_REUSEPORT). With that option alone, a second instance of the
 * program under the same user could listen on the same address and would get some of the
 * connections, although it knows none of the first one's sessions. So the first socket of an
 * address is a claim.
 *
 * claim  a socket that sets SO_REUSEPORT only once it listens; the kernel refuses it if another
 *        socket is already listening on the address
 * join   any further socket of the process that holds the claim
 *
 * Two processes cannot both succeed. While a claim is being made, the kernel compares it with every
 * other socket of the address, bound or listening, and of any two that lack SO_REUSEPORT it refuses
 * one. The claim gets the option only once it listens.
 */
#include "common/address.h"
#include "common/macro.h"

enum {
	BIND_BACKLOG = 1024,
};

enum bind_role {
	BIND_CLAIM,
	BIND_JOIN,
};

/* Listens on @address. Connections in TIME_WAIT from an earlier process do not prevent it. The
 * caller owns *ret_fd, which is non-blocking. Returns 0 or a negative errno: -EADDRINUSE if another
 * process listens there, -EADDRNOTAVAIL if this machine does not have the address, -EAFNOSUPPORT if
 * it does not support the address family, -EACCES if the port is privileged. */
_must_check_ int bind_listen(const struct address *address, enum bind_role role, int *ret_fd);

/* Advice for the operator about an error of bind_listen(), in addition to strerror(3); "" if there
 * is none. */
const char *bind_advice(int r);
