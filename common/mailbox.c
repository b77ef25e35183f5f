/* SPDX-License-Identifier: MIT */
#include "common/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/wake.h"
#include "common/watch.h"

enum {
	NS_PER_US = 1000,
};

/* Waking the reader. */

/* Notes that the reader is to look into @mailbox, whose mutex is locked. Returns whether the caller
 * has to wake it; otherwise somebody else has done so, or is about to. */
static bool must_wake(struct mailbox *mailbox)
{
	bool was_woken = mailbox->is_woken;

	mailbox->is_woken = true;
	return !was_woken;
}

/* Call it without the lock, for which the reader would wait at once. */
static void wake(const struct mailbox *mailbox)
{
	wake_send(mailbox->fd);
}

static void wake_owed(struct mailbox *mailbox)
{
	struct mailbox *other;

	while ((other = SLIST_FIRST(&mailbox->owed))) {
		SLIST_REMOVE_HEAD(&mailbox->owed, in_owed);
		wake(other);
	}
}

static void on_prepare(uv_prepare_t *prepare)
{
	wake_owed(CONTAINER_OF(prepare, struct mailbox, prepare));
}

/* Reading. */

static void take(struct mailbox *mailbox)
{
	wake_take(mailbox->fd);
	uv_mutex_lock(&mailbox->mutex);
	mailbox->is_woken = false;
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

static void on_wake(uv_poll_t *poll, int status, int events)
{
	struct mailbox *mailbox = CONTAINER_OF(poll, struct mailbox, poll);

	(void)status;
	(void)events;
	take(mailbox);
	size_t n_handled = handle_some(mailbox);

	uv_mutex_lock(&mailbox->mutex);
	mailbox->n_messages -= n_handled;
	bool has_to_wake =
		!STAILQ_EMPTY(&mailbox->taken) && !mailbox->is_closed && must_wake(mailbox);

	uv_mutex_unlock(&mailbox->mutex);
	if (has_to_wake) {
		wake(mailbox);
	}
}

/* The beginning and the end. */

static int start(struct mailbox *mailbox, uv_loop_t *loop)
{
	int r = uv_poll_init(loop, &mailbox->poll, mailbox->fd);

	if (r < 0) {
		return r;
	}
	r = watch_start(&mailbox->poll, UV_READABLE, on_wake);
	if (r < 0) {
		uv_close((uv_handle_t *)&mailbox->poll, NULL);
		return r;
	}
	uv_prepare_init(loop, &mailbox->prepare);
	uv_prepare_start(&mailbox->prepare, on_prepare);
	/* It alone must not keep the loop running. */
	uv_unref((uv_handle_t *)&mailbox->prepare);
	return 0;
}

int mailbox_init(struct mailbox *mailbox, uv_loop_t *loop, void *reader)
{
	*mailbox = (struct mailbox){.reader = reader};
	STAILQ_INIT(&mailbox->messages);
	STAILQ_INIT(&mailbox->taken);
	SLIST_INIT(&mailbox->owed);
	int r = uv_mutex_init(&mailbox->mutex);

	if (r < 0) {
		return r;
	}
	mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = mailbox->fd < 0 ? -errno : start(mailbox, loop);
	if (r < 0) {
		mailbox_deinit(mailbox);
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
	/* Those who are posted to from now on are woken at once. */
	wake_owed(mailbox);
	uv_close((uv_handle_t *)&mailbox->poll, NULL);
	uv_close((uv_handle_t *)&mailbox->prepare, NULL);
}

void mailbox_deinit(struct mailbox *mailbox)
{
	assert(STAILQ_EMPTY(&mailbox->messages) && STAILQ_EMPTY(&mailbox->taken));
	uv_mutex_destroy(&mailbox->mutex);
	if (mailbox->fd >= 0) {
		close(mailbox->fd);
	}
}

/* Posting. */

/* *ret_has_to_wake: whether the caller has to wake the reader. */
static int post(struct mailbox *mailbox, struct message *message, bool *ret_has_to_wake)
{
	int r = 0;

	assert(message->handle && message->drop);
	*ret_has_to_wake = false;
	uv_mutex_lock(&mailbox->mutex);
	if (mailbox->is_closed) {
		r = -ESHUTDOWN;
	} else if (!message->is_owed && mailbox->n_messages >= MAILBOX_MESSAGES_MAX) {
		r = -ENOBUFS;
	} else {
		STAILQ_INSERT_TAIL(&mailbox->messages, message, in_mailbox);
		mailbox->n_messages++;
		*ret_has_to_wake = must_wake(mailbox);
	}
	uv_mutex_unlock(&mailbox->mutex);
	return r;
}

int mailbox_post(struct mailbox *mailbox, struct message *message)
{
	bool has_to_wake;
	int r = post(mailbox, message, &has_to_wake);

	if (has_to_wake) {
		wake(mailbox);
	}
	return r;
}

int mailbox_post_from(struct mailbox *from, struct mailbox *mailbox, struct message *message)
{
	bool has_to_wake;
	int r = post(mailbox, message, &has_to_wake);

	if (has_to_wake && from->is_closed) {
		wake(mailbox);
	} else if (has_to_wake) {
		SLIST_INSERT_HEAD(&from->owed, mailbox, in_owed);
	}
	return r;
}
