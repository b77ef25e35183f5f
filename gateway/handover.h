/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Passes a connection to the worker that has the session which its first request names.
 */
#include "gateway/env.h"

/* Runs in the receiving worker; @reader as given to mailbox_init(). Takes @fd. */
typedef void (*handover_taken)(void *reader, int fd, const struct address *peer);

/* Posts @fd, on which nothing has been read, to @mailbox. @env, of any worker, gives the seat of
 * @peer back if the receiver is being stopped. Thread-safe. Returns 0 or a negative errno; then the
 * connection still belongs to the caller. */
_must_check_ int handover_post(struct mailbox *mailbox, int fd, const struct address *peer,
			       struct worker_env *env, handover_taken taken);
