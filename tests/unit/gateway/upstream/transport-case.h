/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A transport on a real loop, connected over loopback to the test, which is its server or proxy.
 * Counts what its owner is told. For one source file of a program, after cmocka.h.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/upstream/transport-state.h"
#include "tests/unit/loopback.h"

enum {
	PATIENCE_MS = 20000,
	STEP_MS = 5,
};

static struct {
	uv_loop_t loop;
	uv_timer_t step; /* wakes the loop, so that conditions are checked */
	struct turn turn;
	char read_buffer[TRANSPORT_READ_SIZE];
	struct transport *transport;
	struct address address; /* of the server */
	int listener, fd;       /* the server's; -1: closed */
	/* What the owner was told, and what he does then; NULL: nothing. */
	unsigned n_tunnelling, n_connected, n_secured, n_data, n_held, n_drained, n_ended, n_failed;
	void (*act)(void);
	size_t n_received;
	struct failure failure; /* the last one */
} one;

static inline void tell(unsigned *counter)
{
	++*counter;
	if (one.act) {
		one.act();
	}
}

static inline void on_tunnelling(void *userdata)
{
	(void)userdata;
	tell(&one.n_tunnelling);
}

static inline void on_connected(void *userdata)
{
	(void)userdata;
	tell(&one.n_connected);
}

static inline void on_secured(void *userdata)
{
	(void)userdata;
	tell(&one.n_secured);
}

static inline void on_data(void *userdata, const char *data, size_t n)
{
	(void)userdata;
	(void)data;
	one.n_received += n;
	tell(&one.n_data);
}

static inline void on_held(void *userdata)
{
	(void)userdata;
	tell(&one.n_held);
}

static inline void on_drained(void *userdata)
{
	(void)userdata;
	tell(&one.n_drained);
}

static inline void on_ended(void *userdata)
{
	(void)userdata;
	tell(&one.n_ended);
}

static inline void on_failed(void *userdata, const struct failure *failure)
{
	(void)userdata;
	one.failure = *failure;
	tell(&one.n_failed);
}

static const struct transport_callbacks counting = {
	.tunnelling = on_tunnelling,
	.connected = on_connected,
	.secured = on_secured,
	.data = on_data,
	.held = on_held,
	.drained = on_drained,
	.ended = on_ended,
	.failed = on_failed,
};

static inline void on_step(uv_timer_t *timer)
{
	(void)timer;
}

static inline void open_loop(void)
{
	memset(&one, 0, sizeof(one));
	one.listener = one.fd = -1;
	one.failure.kind = FAILURE_NONE;
	assert_int_equal(uv_loop_init(&one.loop), 0);
	uv_timer_init(&one.loop, &one.step);
	uv_timer_start(&one.step, on_step, STEP_MS, STEP_MS);
	turn_init(&one.turn, &one.loop);
}

/* Up to @n connections wait to be accepted. */
static inline void listen_for(int n)
{
	one.address = (struct address){
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	one.listener = loopback_listen(&one.address.any, n);
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
	*fd = -1;
}

/* Begins to connect to the server, which accepts: @way says how, but for the address. */
static inline void open_transport(struct transport_way way,
				  const struct transport_callbacks *callbacks)
{
	if (one.listener < 0) {
		listen_for(1);
	}
	way.address = &one.address;
	way.timeout_ms = PATIENCE_MS;
	assert_int_equal(
		transport_new(&one.loop, one.read_buffer, &way, callbacks, NULL, &one.transport),
		0);
	one.fd = accept4(one.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(one.fd >= 0);
	close_fd(&one.listener);
}

/* Runs the loop until *@count is not 0, or the transport has failed, for at most PATIENCE_MS. */
static inline void run_until(const unsigned *count)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (*count == 0 && one.n_failed == 0 && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(*count, 1);
}

static inline void run_until_received(size_t n)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	while (one.n_received < n && one.n_failed == 0 && uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_received, n);
}

static inline void run_for(uint64_t ms)
{
	uint64_t end = uv_now(&one.loop) + ms;

	while (uv_now(&one.loop) < end) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
}

/* When the time of the transport is over, as the loop counts. */
static inline uint64_t deadline(void)
{
	return uv_now(&one.loop) + uv_timer_get_due_in(&one.transport->timer.uv);
}

static inline int close_all(void **state)
{
	(void)state;
	one.transport = transport_free(one.transport);
	turn_close(&one.turn);
	close_fd(&one.listener);
	close_fd(&one.fd);
	uv_close((uv_handle_t *)&one.step, NULL);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&one.loop);
}
