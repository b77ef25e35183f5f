/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A transport whose channel is the test's, which also has the place of OpenSSL and of the poll: it
 * says what each of them returns. For one source file of a program, after cmocka.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/watch.h"
#include "gateway/upstream/transport-state.h"
#include "tests/unit/loopback.h"

enum {
	PATIENCE_MS = 20000,
	MESSAGE_MS = 15000,
};

static struct {
	uv_loop_t loop;
	struct turn turn;
	char read_buffer[TRANSPORT_READ_SIZE];
	struct transport *transport;
	int listener;
	/* What the channel returns, how many bytes it reads or takes, and what OpenSSL says. */
	enum channel_result read, written, shaken;
	size_t n_read, n_taken;
	bool has_pending, is_in_message;
	int watch_error;
	int socket_error, socket_errno; /* what getsockopt(2) finds, or why it fails */
	uv_poll_cb on_poll;             /* the transport's */
	unsigned n_watches, n_reads, n_writes, n_shakes, n_pushes;
	/* What the owner was told, and what he does then: he frees the transport, or has a new
	 * event to be waited for. */
	unsigned n_tunnelling, n_connected, n_secured, n_data, n_drained, n_ended, n_failed, n_held;
	bool frees, pauses;
	struct failure failure;
} one;

/* These take the place of the program's. */

int watch_start(uv_poll_t *poll, int events, uv_poll_cb callback)
{
	one.n_watches++;
	one.on_poll = callback;
	if (one.watch_error) {
		uv_poll_stop(poll);
		return one.watch_error;
	}
	return uv_poll_start(poll, events, callback);
}

int getsockopt(int fd, int level, int name, void *restrict ret_value, socklen_t *restrict size)
{
	(void)fd;
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(name, SO_ERROR);
	assert_int_equal(*size, sizeof(int));
	memcpy(ret_value, &one.socket_error, sizeof(int));
	errno = one.socket_errno;
	return errno ? -1 : 0;
}

enum channel_result channel_read(struct channel *channel, char *data, size_t size,
				 size_t *ret_n_read)
{
	(void)channel;
	(void)size;
	memset(data, 'x', one.n_read);
	*ret_n_read = one.n_read;
	one.n_reads++;
	return one.read;
}

enum channel_result channel_write(struct channel *channel, const char *data, size_t n,
				  size_t *ret_n_written)
{
	(void)data;
	channel->error = one.written == CHANNEL_BROKEN ? "no writing" : NULL;
	*ret_n_written = n < one.n_taken ? n : one.n_taken;
	one.n_writes++;
	return one.written;
}

enum channel_result channel_handshake(struct channel *channel)
{
	channel->error = one.shaken == CHANNEL_BROKEN ? "no TLS" : NULL;
	one.n_shakes++;
	return one.shaken;
}

void channel_push(struct channel *channel)
{
	(void)channel;
	one.n_pushes++;
}

int SSL_has_pending(const SSL *ssl)
{
	(void)ssl;
	return one.has_pending;
}

int SSL_in_init(const SSL *ssl)
{
	(void)ssl;
	return one.is_in_message;
}

/* The owner. */

static void act(unsigned *counter)
{
	++*counter;
	if (one.pauses) {
		unsigned n_watches = one.n_watches;

		/* The poll is changed when the turn is over. */
		transport_pause(one.transport, true);
		assert_true(uv_is_active((uv_handle_t *)&one.transport->poll));
		transport_pause(one.transport, false);
		transport_pause(one.transport, true);
		assert_int_equal(one.n_watches, n_watches);
	}
	if (one.frees) {
		one.transport = transport_free(one.transport);
	}
}

static void on_connected(void *userdata)
{
	(void)userdata;
	act(&one.n_connected);
}

static void on_tunnelling(void *userdata)
{
	(void)userdata;
	act(&one.n_tunnelling);
}

static void on_secured(void *userdata)
{
	(void)userdata;
	act(&one.n_secured);
}

static void on_data(void *userdata, const char *data, size_t n)
{
	(void)userdata;
	assert_int_equal(n, one.n_read);
	assert_int_equal(data[0], 'x');
	act(&one.n_data);
}

static void on_held(void *userdata)
{
	(void)userdata;
	act(&one.n_held);
}

static void on_drained(void *userdata)
{
	(void)userdata;
	act(&one.n_drained);
}

static void on_ended(void *userdata)
{
	(void)userdata;
	act(&one.n_ended);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	(void)userdata;
	one.failure = *failure;
	act(&one.n_failed);
}

static const struct transport_callbacks callbacks = {
	.tunnelling = on_tunnelling,
	.connected = on_connected,
	.secured = on_secured,
	.data = on_data,
	.held = on_held,
	.drained = on_drained,
	.ended = on_ended,
	.failed = on_failed,
};

static int setup(void **state)
{
	struct address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	const struct transport_way way = {.address = &address, .timeout_ms = PATIENCE_MS};

	(void)state;
	memset(&one, 0, sizeof(one));
	assert_int_equal(uv_loop_init(&one.loop), 0);
	turn_init(&one.turn, &one.loop);
	one.listener = loopback_listen(&address.any, 1);
	assert_int_equal(
		transport_new(&one.loop, one.read_buffer, &way, &callbacks, NULL, &one.transport),
		0);
	while (one.n_connected == 0) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.transport->state, TRANSPORT_OPEN);
	one.transport->channel.is_secure = true;
	one.transport->message_timeout_ms = MESSAGE_MS;
	one.n_connected = one.n_watches = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (one.transport) {
		one.transport->step = NULL;
	}
	transport_free(one.transport);
	turn_close(&one.turn);
	close(one.listener);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&one.loop);
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
