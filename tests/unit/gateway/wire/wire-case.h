/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A wire on a real loop, over TCP and over a socket that does not discard in the kernel. Time
 * passes when a test says so: for turns, and for deadlines. For one source file of a program, after
 * cmocka.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/wire/state.h"
#include "tests/unit/clock.h"

enum {
	TURNS_MAX = 10000,
	/* The loop wakes up that often, so that a test that waits for nothing fails. */
	STEP_MS = 10,
	/* No second passes by itself. */
	SECOND_MS = 24 * 3600 * 1000,
	PAUSE_US = 50 * 1000,
	/* More than the kernel takes at once. */
	LONG = 16 * 1024 * 1024,
};

struct client {
	struct wire *wire;
	unsigned n_ready, n_written, n_late;
	struct wire **to_close; /* in `ready` */
	bool reads;
	size_t n_read;
	unsigned late_us; /* `late` takes so long */
};

static struct {
	uv_loop_t loop;
	uv_timer_t step;
	struct turn turn; /* of the hub in some tests */
	struct wire_hub *hub;
	struct address peer;
	struct client clients[2];
	int theirs[2];
	unsigned n_closed;
	int send_error;   /* of all sockets; 0: none */
	unsigned send_us; /* each system call takes so long */
} one;

/* Takes the place of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	clock_pass_us(one.send_us);
	if (one.send_error) {
		errno = one.send_error;
		return -1;
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}

static inline void on_closed(void *userdata, const struct address *peer)
{
	assert_ptr_equal(userdata, &one);
	assert_true(address_is_same_host(peer, &one.peer));
	one.n_closed++;
}

static inline void on_ready(void *user)
{
	struct client *client = user;
	char bytes[64];
	size_t n = sizeof(bytes);

	client->n_ready++;
	while (client->reads && n == sizeof(bytes) &&
	       wire_read(client->wire, bytes, sizeof(bytes), &n) == WIRE_OK) {
		client->n_read += n;
	}
	if (client->to_close) {
		*client->to_close = wire_close(*client->to_close);
	}
}

static inline void on_written(void *user)
{
	((struct client *)user)->n_written++;
}

static inline void on_late(void *user)
{
	struct client *client = user;

	client->n_late++;
	clock_pass_us(client->late_us);
}

static const struct wire_callbacks callbacks = {
	.ready = on_ready, .written = on_written, .late = on_late};

static inline void tcp_pair(int fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&address, n), 0);
	fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fds[0] >= 0);
	close(listener);
}

static inline void join(unsigned i, bool is_tcp)
{
	int fds[2];

	if (is_tcp) {
		tcp_pair(fds);
	} else {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	}
	one.theirs[i] = fds[1];
	one.clients[i] = (struct client){0};
	assert_int_equal(wire_new(fds[0], &one.peer, &one.clients[i].wire), 0);
	wire_set_user(one.clients[i].wire, &callbacks, &one.clients[i]);
	assert_int_equal(wire_join(one.clients[i].wire, one.hub), 0);
}

static inline void on_step(uv_timer_t *step)
{
	(void)step;
}

static inline int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.theirs[0] = one.theirs[1] = -1;
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	uv_timer_init(&one.loop, &one.step);
	uv_timer_start(&one.step, on_step, STEP_MS, STEP_MS);
	turn_init(&one.turn, &one.loop);
	assert_int_equal(wire_hub_new(&(struct wire_hub_options){.loop = &one.loop,
								 .closed = on_closed,
								 .userdata = &one,
								 .second_ms = SECOND_MS},
				      &one.hub),
			 0);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	wire_hub_close(one.hub);
	turn_close(&one.turn);
	uv_close((uv_handle_t *)&one.step, NULL);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	one.hub = wire_hub_free(one.hub);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	for (unsigned i = 0; i < 2; i++) {
		if (one.theirs[i] >= 0) {
			close(one.theirs[i]);
		}
	}
	return 0;
}

static inline void say(unsigned i, const char *text)
{
	assert_int_equal(send(one.theirs[i], text, strlen(text), 0), strlen(text));
}

static inline void turn_until(const unsigned *counter, unsigned n)
{
	for (int i = 0; i < TURNS_MAX && *counter < n; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(*counter, n);
}

static inline void turn(void)
{
	for (int i = 0; i < 3; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
}

static inline void pass(unsigned seconds)
{
	while (seconds--) {
		wire_deadline_tick(one.hub);
		turn();
	}
}
