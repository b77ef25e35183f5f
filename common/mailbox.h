/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Messages between threads that each run a libuv loop. A mailbox belongs to the loop that reads it; every thread may
 * post. Messages of one sender arrive in the order in which they were posted.
 *
 * message  embedded first in whatever is sent; whoever handles it owns it
 */
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/macro.h"

enum {
	/* A worker that does not keep up must not be buried: the sender answers "busy" instead. */
	MAILBOX_MESSAGES_MAX = 65536,
};

struct message {
	STAILQ_ENTRY(message) in_mailbox;
	/* Handles the message in the receiver's thread. @reader is what the mailbox was given. */
	void (*handle)(struct message *message, void *reader);
	/* Releases a message that nobody will handle any more, in the receiver's thread. */
	void (*drop)(struct message *message);
};

struct mailbox {
	uv_mutex_t mutex;
	uv_async_t wake;
	STAILQ_HEAD(, message) messages;
	size_t n_messages;
	bool closed;
	void *reader;
};

/* Returns 0 or a negative errno. */
_must_check_ int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop, void *reader);

/* Takes no more messages, drops those that wait, and lets the loop end. In the reader's thread. */
void mailbox_close(struct mailbox *mailbox);

/* After the loop has ended and no thread posts any more. */
void mailbox_deinit(struct mailbox *mailbox);

/* Hands @message over. Returns 0, or -ENOBUFS (full) or -ESHUTDOWN: then it is still the caller's. */
_must_check_ int mailbox_post(struct mailbox *mailbox, struct message *message);
