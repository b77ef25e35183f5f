/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Listening sockets. Each worker has its own socket for each address, and the kernel distributes
 * the connections among them (SO_REUSEPORT). With that option alone, a second instance of the
 * program under the same user could listen on the same address and would get some of the
 * connections, although it knows none of the first one's sessions. So the first socket of an
 * address is a claim.
 *
 * place  where to listen, and how: what a `listener` section says about the socket
 * claim  a socket that sets SO_REUSEPORT only once it listens; the kernel refuses it if another
 *        socket is already listening on the address
 * join   any further socket of the process that holds the claim
 *
 * Two processes cannot both succeed. While a claim is being made, the kernel compares it with every
 * other socket of the address, bound or listening, and of any two that lack SO_REUSEPORT it refuses
 * one. The claim gets the option only once it listens.
 *
 * Of a unix socket there is one, which the workers share (bind-unix.h).
 */
#include "common/address.h"
#include "common/macro.h"

enum {
	/* A path has at most 107 bytes (unix(7)), the name of a given socket 255. */
	BIND_NAME_MAX = 256,
};

enum bind_kind {
	BIND_ADDRESS,
	BIND_UNIX,
	BIND_GIVEN, /* opened by who started the program (process/sockets.h) */
};

enum bind_role {
	BIND_CLAIM,
	BIND_JOIN,
};

/* Has no pointers, because processes send it to each other. */
struct bind_place {
	uint32_t kind;            /* enum bind_kind */
	struct address address;   /* BIND_ADDRESS */
	char name[BIND_NAME_MAX]; /* the absolute path, or the name of given sockets */
	uint32_t mode;            /* permissions of the unix socket */
	uint32_t has_group, gid;  /* of the unix socket */
	uint32_t backlog;
	uint32_t receive_buffer, send_buffer; /* bytes; 0: the system's */
	uint32_t may_be_given;                /* sockets that were given without being asked for by
					       * their name take the place of the address */
};

/* Listens on the address of @place. Connections in TIME_WAIT from an earlier process do not prevent
 * it. The caller owns *ret_fd, which is non-blocking. Returns 0 or a negative errno: -EADDRINUSE if
 * another process listens there, -EADDRNOTAVAIL if this machine does not have the address,
 * -EAFNOSUPPORT if it does not support the address family, -EACCES if the port is privileged. */
_must_check_ int bind_listen(const struct bind_place *place, enum bind_role role, int *ret_fd);

/* Sets the sizes of the buffers of @fd, a listening socket, which the connections inherit. What the
 * kernel does not allow (net.core.rmem_max), it lowers. */
void bind_set_buffers(int fd, const struct bind_place *place);

/* Advice for the operator about an error of bind_listen() or of bind_unix(), in addition to
 * strerror(3); "" if there is none. */
const char *bind_advice(int r);
