/* SPDX-License-Identifier: MIT */
#pragma once
/* A transport of transport-case.h that is connected, and what its socket tells. */
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/unit/gateway/upstream/transport-case.h"

enum {
	/* Enough turns of the loop for anything to happen. */
	TURNS_MS = 10 * STEP_MS,
	SHORT_MS = 100,
	SOCKET_BUFFER = 16 * 1024,
};

static inline int set_up(void **state)
{
	(void)state;
	open_loop();
	listen_for(1);
	/* With an explicit size the kernel's buffers do not grow: see fill_kernel(). */
	assert_int_equal(
		setsockopt(one.listener, SOL_SOCKET, SO_RCVBUF, &(int){SOCKET_BUFFER}, sizeof(int)),
		0);
	open_transport((struct transport_way){0}, &counting);
	run_until(&one.n_connected);
	return 0;
}

static inline int tear_down(void **state)
{
	assert_int_equal(one.n_secured, 0);
	return close_all(state);
}

static inline void set_option(int level, int name, int value)
{
	assert_int_equal(setsockopt(one.transport->channel.fd, level, name, &value, sizeof(value)),
			 0);
}

/* Writes @n bytes. */
static inline void write_bytes(size_t n)
{
	char *data = calloc(1, n);

	assert_non_null(data);
	memset(data, 'x', n);
	assert_int_equal(transport_write(one.transport, data, n), 0);
	free(data);
}

/* What the kernel has not sent, or of which it has not heard that it has arrived. */
static inline int n_in_kernel(unsigned long which)
{
	int n;

	assert_int_equal(ioctl(one.transport->channel.fd, which, &n), 0);
	return n;
}

/* The kernel takes more: it has room, or will when what is on its way has arrived. */
static inline bool kernel_takes_more(void)
{
	struct pollfd out = {.fd = one.transport->channel.fd, .events = POLLOUT};

	return n_in_kernel(SIOCOUTQ) > n_in_kernel(SIOCOUTQNSD) || poll(&out, 1, 0) > 0;
}

/* Writes until the kernel takes no more, so that further bytes wait in the transport. Returns the
 * number of bytes. */
static inline size_t fill_kernel(void)
{
	size_t n = 0;
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;

	set_option(SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	while (one.transport->out.n == 0) {
		write_bytes(4096);
		n += 4096;
		while (one.transport->out.n && kernel_takes_more() && uv_now(&one.loop) < end) {
			uv_run(&one.loop, UV_RUN_ONCE);
		}
	}
	assert_false(kernel_takes_more());
	return n;
}

/* Looks for a handle that is not the test's own. */
static inline void on_handle(uv_handle_t *handle, void *userdata)
{
	const char *at = (const char *)handle;

	*(bool *)userdata |= at < (const char *)&one || at >= (const char *)(&one + 1);
}

/* The transport has freed itself. */
static inline void run_until_freed(void)
{
	uint64_t end = uv_now(&one.loop) + PATIENCE_MS;
	bool busy;

	do {
		uv_run(&one.loop, UV_RUN_ONCE);
		busy = false;
		uv_walk(&one.loop, on_handle, &busy);
	} while (busy && uv_now(&one.loop) < end);
	assert_false(busy);
	assert_int_equal(one.n_ended + one.n_failed + one.n_drained, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
