/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A transport of transport-case.h whose channel is the test's, which also has the place of OpenSSL
 * and of the poll: `fake` says what each of them returns.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/watch.h"
#include "tests/unit/gateway/upstream/transport-case.h"

enum {
	MESSAGE_MS = 15000,
};

static struct {
	/* What the channel returns, how many bytes it reads or takes, and what OpenSSL says. */
	enum channel_result read, written, shaken;
	size_t n_read, n_taken;
	bool has_pending, is_in_message;
	int watch_error;
	int socket_error, socket_errno; /* what getsockopt(2) finds, or why it fails */
	uv_poll_cb on_poll;             /* the transport's */
	unsigned n_watches, n_reads, n_writes, n_shakes, n_pushes;
	/* What the owner does when he is told something: he frees the transport, or has a new event
	 * to be waited for. */
	bool frees, pauses;
} fake;

/* These take the place of the program's. */

int watch_start(uv_poll_t *poll, int events, uv_poll_cb callback)
{
	fake.n_watches++;
	fake.on_poll = callback;
	if (fake.watch_error) {
		uv_poll_stop(poll);
		return fake.watch_error;
	}
	return uv_poll_start(poll, events, callback);
}

int getsockopt(int fd, int level, int name, void *restrict ret_value, socklen_t *restrict size)
{
	(void)fd;
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(name, SO_ERROR);
	assert_int_equal(*size, sizeof(int));
	memcpy(ret_value, &fake.socket_error, sizeof(int));
	errno = fake.socket_errno;
	return errno ? -1 : 0;
}

enum channel_result channel_read(struct channel *channel, char *data, size_t size,
				 size_t *ret_n_read)
{
	(void)channel;
	(void)size;
	memset(data, 'x', fake.n_read);
	*ret_n_read = fake.n_read;
	fake.n_reads++;
	return fake.read;
}

enum channel_result channel_write(struct channel *channel, const char *data, size_t n,
				  size_t *ret_n_written)
{
	(void)data;
	channel->error = fake.written == CHANNEL_BROKEN ? "no writing" : NULL;
	*ret_n_written = n < fake.n_taken ? n : fake.n_taken;
	fake.n_writes++;
	return fake.written;
}

enum channel_result channel_handshake(struct channel *channel)
{
	channel->error = fake.shaken == CHANNEL_BROKEN ? "no TLS" : NULL;
	fake.n_shakes++;
	return fake.shaken;
}

void channel_push(struct channel *channel)
{
	(void)channel;
	fake.n_pushes++;
}

int SSL_has_pending(const SSL *ssl)
{
	(void)ssl;
	return fake.has_pending;
}

int SSL_in_init(const SSL *ssl)
{
	(void)ssl;
	return fake.is_in_message;
}

/* The owner. */

static void act(void)
{
	if (fake.pauses) {
		unsigned n_watches = fake.n_watches;

		/* The poll is changed when the turn is over. */
		transport_pause(one.transport, true);
		assert_true(uv_is_active((uv_handle_t *)&one.transport->poll));
		transport_pause(one.transport, false);
		transport_pause(one.transport, true);
		assert_int_equal(fake.n_watches, n_watches);
	}
	if (fake.frees) {
		one.transport = transport_free(one.transport);
	}
}

static void on_read(void *userdata, const char *data, size_t n)
{
	assert_int_equal(n, fake.n_read);
	assert_int_equal(data[0], 'x');
	on_data(userdata, data, n);
}

static const struct transport_callbacks callbacks = {
	.tunnelling = on_tunnelling,
	.connected = on_connected,
	.secured = on_secured,
	.data = on_read,
	.held = on_held,
	.drained = on_drained,
	.ended = on_ended,
	.failed = on_failed,
};

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	open_loop();
	open_transport((struct transport_way){0}, &callbacks);
	run_until(&one.n_connected);
	assert_int_equal(one.transport->state, TRANSPORT_OPEN);
	one.transport->channel.is_secure = true;
	one.transport->message_timeout_ms = MESSAGE_MS;
	one.n_connected = fake.n_watches = 0;
	one.act = act;
	return 0;
}

static int teardown(void **state)
{
	if (one.transport) {
		one.transport->step = NULL;
	}
	return close_all(state);
}

/* The socket is ready for @events. */
static inline void turn(int events)
{
	one.transport->events_due = events;
	transport_on_turn(&one.transport->item);
}

static inline bool is_planned(void)
{
	return timeout_is_set(&one.transport->timer) && one.transport->timer.is_exact;
}

static inline bool is_timed(void)
{
	return timeout_is_set(&one.transport->timer) && !one.transport->timer.is_exact;
}

static inline void assert_failed(enum failure_kind kind, const char *detail)
{
	assert_int_equal(one.n_failed, 1);
	assert_int_equal(one.failure.kind, kind);
	if (detail) {
		assert_string_equal(one.failure.detail, detail);
	}
	assert_false(uv_is_active((uv_handle_t *)&one.transport->poll));
}

/* The helper has a step of the handshake. */
static inline void lend(void)
{
	static struct transport_step step;

	step = (struct transport_step){.job = {.state = JOB_RUNNING}};
	one.transport->step = &step;
}

static inline void take_back(void)
{
	one.transport->step = NULL;
}
