/* SPDX-License-Identifier: MIT */
#include "common/mailbox.h"

#include <assert.h>
#include <errno.h>

static void on_wake(uv_async_t *wake)
{
	struct mailbox *mailbox = CONTAINER_OF(wake, struct mailbox, wake);
	STAILQ_HEAD(, message) messages = STAILQ_HEAD_INITIALIZER(messages);
	struct message *message;

	uv_mutex_lock(&mailbox->mutex);
	STAILQ_CONCAT(&messages, &mailbox->messages);
	mailbox->n_messages = 0;
	uv_mutex_unlock(&mailbox->mutex);
	while ((message = STAILQ_FIRST(&messages))) {
		STAILQ_REMOVE_HEAD(&messages, in_mailbox);
		message->handle(message, mailbox->reader);
	}
}

int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop, void *reader)
{
	*mailbox = (struct mailbox){.reader = reader};
	STAILQ_INIT(&mailbox->messages);
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
	assert(!mailbox->closed);
	mailbox->closed = true;
	uv_mutex_unlock(&mailbox->mutex);
	while ((message = STAILQ_FIRST(&mailbox->messages))) {
		STAILQ_REMOVE_HEAD(&mailbox->messages, in_mailbox);
		message->drop(message);
	}
	uv_close((uv_handle_t *)&mailbox->wake, NULL);
}

void mailbox_deinit(struct mailbox *mailbox)
{
	assert(STAILQ_EMPTY(&mailbox->messages));
	uv_mutex_destroy(&mailbox->mutex);
}

int mailbox_post(struct mailbox *mailbox, struct message *message)
{
	int r = 0;

	assert(message->handle && message->drop);
	uv_mutex_lock(&mailbox->mutex);
	if (mailbox->closed) {
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
