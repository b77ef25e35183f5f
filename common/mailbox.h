/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Messages between threads that each run a libuv loop. A mailbox belongs to the loop that reads it;
 * any thread may post. Messages from one thread arrive in the order in which they were posted.
 *
 * message  the first member of the struct that is sent; owned by the function that handles it
 */
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/macro.h"

enum {
	/* Bounds the memory and the delay when a worker does not keep up. The sender then refuses
	 * the request. */
	MAILBOX_MESSAGES_MAX = 65536,
	/* In one iteration of its loop the reader handles messages for this time, and finishes the
	 * one that it has begun. Without the bound, clients that send to one worker by way of all
	 * others would make its own clients wait for thousands of messages. */
	MAILBOX_US = 2000,
};

struct message {
	STAILQ_ENTRY(message) in_mailbox;
	/* It is taken also when the mailbox is full: the answer to a message, for example, of which
	 * there is at most one for each that was taken. */
	bool is_owed;
	/* Handles the message in the receiver's thread. @reader as given to mailbox_init(). */
	void (*handle)(struct message *message, void *reader);
	/* Frees a message that will not be handled, in the receiver's thread. */
	void (*drop)(struct message *message);
};

struct mailbox {
	uv_mutex_t mutex;
	STAILQ_HEAD(message_list, message) messages;
	size_t n_messages; /* with those in `taken` */
	bool is_closed;
	bool is_woken;                /* the reader looks soon: it is woken, or `owed` that */
	int fd;                       /* an eventfd, by which it is woken */
	SLIST_ENTRY(mailbox) in_owed; /* of the one who has set `is_woken` */
	/* The reader's own, without the mutex: */
	struct message_list taken;  /* out of `messages` */
	SLIST_HEAD(, mailbox) owed; /* those that it wakes before its loop waits for events */
	uv_poll_t poll;
	uv_prepare_t prepare;
	void *reader;
};

/* To be called before anything else starts a uv_prepare_t on @loop: libuv runs those that were
 * started later first. So the mailbox wakes others as the last thing before the loop waits, and
 * also for what the other handles have posted with mailbox_post_from(). Behind it, that would wait
 * for the next iteration. Returns 0 or a negative errno. */
_must_check_ int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop, void *reader);

/* Refuses further messages, drops those that wait, and closes the handle, so that the loop can end.
 * To be called once, in the reader's thread. */
void mailbox_close(struct mailbox *mailbox);

/* To be called after the loop has ended, when no thread posts any more, and the mailboxes that were
 * given as @from of it are closed, or their loops have run on. */
void mailbox_deinit(struct mailbox *mailbox);

/* Posts @message. Returns 0, -ENOBUFS when the mailbox is full and @message is not owed, or
 * -ESHUTDOWN when it is closed. On failure @message still belongs to the caller. Thread-safe. */
_must_check_ int mailbox_post(struct mailbox *mailbox, struct message *message);

/* The same for a thread that has a mailbox, @from: wakes the reader once for all that is posted in
 * an iteration of the loop of @from, at its end. To wake it for the first message, which may take
 * the core from the sender at once, costs as much as to handle several. */
_must_check_ int mailbox_post_from(struct mailbox *from, struct mailbox *mailbox,
				   struct message *message);
