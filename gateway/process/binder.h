/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How a server gets its listening sockets from the supervisor, which holds them (sockets.h): both
 * ends of the binder (control.h).
 */
#include "gateway/config/config.h"
#include "gateway/listener/listening.h"
#include "gateway/process/control.h"
#include "gateway/process/sockets.h"

/* The supervisor's end: does what @question wants, and answers on @fd. Returns 0, or a negative
 * errno if the server did not get the whole answer: it stops waiting for the rest after
 * CONTROL_ANSWER_MS, and may ask again. */
_must_check_ int binder_answer(struct sockets *sockets, int fd,
			       const struct control_message *question);

/* The server's end: opens the sockets of @config on the binder @fd, one for each worker and
 * address at least. Each address that cannot be bound is logged and is an error, with one
 * exception: addresses of the built-in default that this machine does not support are skipped. The
 * sockets of the last list stay open until binder_commit(). Waits for the supervisor. Returns 0 or
 * a negative errno; then the new ones have been closed again. */
_must_check_ int binder_open(int fd, const struct config *config, struct listening *ret_listening);

/* Says that the sockets of the last binder_open() are in use (@is_used), and all others may be
 * closed; or that they are not, and may be closed themselves. */
void binder_commit(int fd, bool is_used);
