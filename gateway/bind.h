/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Listening sockets. Each worker has one of its own for each address, among which the kernel shares out the connections
 * (SO_REUSEPORT). That option alone would let a second instance of the program, of the same user, join in: connections would go
 * to either of the two, which know nothing of each other's sessions. So the first socket of an address is a claim.
 *
 * claim  a socket that listens before it has SO_REUSEPORT: the kernel refuses it if anybody listens on the address already
 * join   a further socket of the process that has made the claim
 *
 * There is no moment at which two processes could both succeed. While a claim is being made the kernel compares it with
 * every other socket, bound or listening, and refuses one of any two that lack the option; it gets the option only when it listens.
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

/* Listens on @address. Connections that a former process has left (TIME_WAIT) do not hinder it. *ret_fd is the caller's,
 * non-blocking. Returns 0 or a negative errno: -EADDRINUSE when somebody listens there already, -EADDRNOTAVAIL when it is no
 * address of this machine, -EAFNOSUPPORT when the machine does not have the address family, -EACCES when the port is
 * privileged. */
_must_check_ int bind_listen(const struct address *address, enum bind_role role, int *ret_fd);

/* Words for the operator beside those of strerror(3) for an error of bind_listen(); "" where there are none. */
const char *bind_advice(int r);
