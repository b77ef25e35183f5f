/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Passes a connection to the worker that has the session which its next request names.
 */
#include "gateway/env.h"

/* Runs in the receiving worker; @reader as given to mailbox_init(). Takes @wire, which belongs to
 * no hub. */
typedef void (*handover_taken)(void *reader, struct wire *wire);

/* Posts @wire, on which nothing has been consumed, to @mailbox. @env is the sender's; it gives the
 * seat in the census back if the receiver is being stopped. Call it from `ready` of the wire.
 * Returns 0, or a negative errno; then @wire is where it was. */
_must_check_ int handover_post(struct mailbox *mailbox, struct wire *wire, struct worker_env *env,
			       handover_taken taken);

/* Posts @fd, a connection of @peer that another server has passed (door.h), to @mailbox: @taken
 * gets it as a wire that has no seat in the census yet. Takes @fd. Thread-safe. */
void handover_give(struct mailbox *mailbox, int fd, const struct wire_peer *peer,
		   handover_taken taken);

/* Closes @wire, which belongs to no hub, and gives its seat back, if it has one
 * (wire_set_silent()). */
void handover_drop(struct worker_env *env, struct wire *wire);
