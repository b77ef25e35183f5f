/* SPDX-License-Identifier: MIT */
#include "common/mailbox.h"

#include <assert.h>
#include <errno.h>

enum {
	NS_PER_US = 1000,
};

static void take(struct mailbox *mailbox)
{
	uv_mutex_lock(&mailbox->mutex);
	STAILQ_CONCAT(&mailbox->taken, &mailbox->messages);
	uv_mutex_unlock(&mailbox->mutex);
}

/* Handles what was taken, for MAILBOX_US. Returns how many messages that were. */
static size_t handle_some(struct mailbox *mailbox)
{
	uint64_t end_ns = uv_hrtime() + (uint64_t)MAILBOX_US * NS_PER_US;
	struct message *message;
	size_t n = 0;

	while ((message = STAILQ_FIRST(&mailbox->taken)) && (n == 0 || uv_hrtime() < end_ns)) {
		STAILQ_REMOVE_HEAD(&mailbox->taken, in_mailbox);
		message->handle(message, mailbox->reader);
		n++;
	}
	return n;
}

static void on_wake(uv_async_t *wake)
{
	struct mailbox *mailbox = CONTAINER_OF(wake, struct mailbox, wake);

	take(mailbox);
	size_t n_handled = handle_some(mailbox);

	uv_mutex_lock(&mailbox->mutex);
	mailbox->n_messages -= n_handled;
	if (!STAILQ_EMPTY(&mailbox->taken) && !mailbox->is_closed) {
		uv_async_send(&mailbox->wake);
	}
	uv_mutex_unlock(&mailbox->mutex);
}

int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop, void *reader)
{
	*mailbox = (struct mailbox){.reader = reader};
	STAILQ_INIT(&mailbox->messages);
	STAILQ_INIT(&mailbox->taken);
	int r = uv_mutex_init(&mailbox->mutex);

	if (r < 0) {
		return r;
	}
	r = uv_async_init(loop, &mailbox->wake, on_wake);
	if (r < 0) {
		uv_mutex_destroy(&mailbox->mutex);
	}
	return r;
}

void mailbox_close(struct mailbox *mailbox)
{
	struct message *message;

	uv_mutex_lock(&mailbox->mutex);
	assert(!mailbox->is_closed);
	mailbox->is_closed = true;
	uv_mutex_unlock(&mailbox->mutex);
	STAILQ_CONCAT(&mailbox->taken, &mailbox->messages);
	while ((message = STAILQ_FIRST(&mailbox->taken))) {
		STAILQ_REMOVE_HEAD(&mailbox->taken, in_mailbox);
		message->drop(message);
	}
	uv_close((uv_handle_t *)&mailbox->wake, NULL);
}

void mailbox_deinit(struct mailbox *mailbox)
{
	assert(STAILQ_EMPTY(&mailbox->messages) && STAILQ_EMPTY(&mailbox->taken));
	uv_mutex_destroy(&mailbox->mutex);
}

int mailbox_post(struct mailbox *mailbox, struct message *message)
{
	int r = 0;

	assert(message->handle && message->drop);
	uv_mutex_lock(&mailbox->mutex);
	if (mailbox->is_closed) {
		r = -ESHUTDOWN;
	} else if (!message->is_owed && mailbox->n_messages >= MAILBOX_MESSAGES_MAX) {
		r = -ENOBUFS;
	} else {
		STAILQ_INSERT_TAIL(&mailbox->messages, message, in_mailbox);
		mailbox->n_messages++;
		/* Under the lock: the handle cannot be closed meanwhile. */
		uv_async_send(&mailbox->wake);
	}
	uv_mutex_unlock(&mailbox->mutex);
	return r;
}
