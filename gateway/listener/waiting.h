/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Connections that wait for something before their first request is read: a PROXY header
 * (proxied.h), a TLS handshake (secured.h), the request for a socket policy (socket-policy.h).
 */
#include <sys/queue.h>

#include "gateway/wire/wire.h"

struct waiting {
	LIST_ENTRY(waiting) in_room;
	struct waiting_room *room;
	struct wire *wire;
	unsigned state; /* the owner's */
};

/* A member of its owner. */
struct waiting_room {
	struct wire_hub *hub;                   /* borrowed; where the wires are while they wait */
	const struct wire_callbacks *callbacks; /* of the wires; their user is the struct waiting */
	LIST_HEAD(, waiting) all;
};

/* Takes @wire, which belongs to no hub, for @timeout_s; then callbacks->late runs. Returns 0, or a
 * negative errno: the caller closes the wire. */
_must_check_ int waiting_enter(struct waiting_room *room, struct wire *wire, unsigned state,
			       unsigned timeout_s);

/* Forgets @waiting. Returns its wire, which is the caller's and still belongs to the hub. */
struct wire *waiting_leave(struct waiting *waiting);

/* Forgets all. Their wires are closed by wire_hub_close(), which comes first. */
void waiting_room_deinit(struct waiting_room *room);
