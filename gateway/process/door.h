/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Passes connections between the servers of a gateway (process/control.h) while an upgrade is under
 * way: a connection whose next request names a session of another server goes there, with its
 * descriptor (SCM_RIGHTS) and before anything of the request has been read.
 *
 * door        the socket behind which a server waits for connections
 * generation  the number of that server
 *
 * All workers share one object. The main thread adds and removes doors as the supervisor says, and
 * takes what comes through its own.
 */
#include <stdbool.h>

#include "gateway/wire/wire.h"

struct doors;

enum door_result {
	DOOR_OPEN,
	DOOR_E_NONE, /* there is no server of that generation */
	DOOR_E_FULL, /* it does not take what was passed to it, or the kernel has no memory now */
};

_must_check_ int doors_new(struct doors **ret_doors);

/* Takes NULL; returns NULL. */
struct doors *doors_free(struct doors *doors);

/* @generation is reached by @fd, which is taken. */
void doors_add(struct doors *doors, unsigned generation, int fd);

/* The server of @generation has ended. */
void doors_remove(struct doors *doors, unsigned generation);

/* Whether there is any: an upgrade is under way. Thread-safe. */
bool doors_exist(const struct doors *doors);

/* Whether there is a server of @generation. Thread-safe. */
bool doors_have(const struct doors *doors, unsigned generation);

/* Whether a connection can be passed to the server of @generation now. Cheap where there is none,
 * because it is asked for every request that names a session of another server. Thread-safe; what
 * other threads pass meanwhile may fill the door. */
enum door_result doors_ask(struct doors *doors, unsigned generation);

/* Passes the connection @fd of @peer to @worker of the server @generation. After DOOR_OPEN the
 * caller closes its own descriptor. Thread-safe. */
enum door_result doors_pass(struct doors *doors, unsigned generation, unsigned worker, int fd,
			    const struct wire_peer *peer);
