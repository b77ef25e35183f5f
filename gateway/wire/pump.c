/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/wire/state.h"

enum {
	CHUNK = 16 * 1024,
	/* Chunks at a time, so that one connection does not occupy the worker. */
	CHUNKS_MAX = 8,
	/* Nothing is read for a side that has as much to be sent. */
	WAITING_MAX = 64 * 1024,
};

static void end(struct wire_pump *pump, bool lingers)
{
	struct wire_hub *hub = pump->hub;

	if (!pump->outer) {
		return;
	}
	if (lingers) {
		wire_linger(pump->outer);
	} else {
		wire_close(pump->outer);
	}
	wire_close(pump->inner);
	pump->outer = pump->inner = NULL;
	LIST_REMOVE(pump, in_hub);
	LIST_INSERT_HEAD(&hub->dead_pumps, pump, in_hub);
}

/* The client sends no more. Ends the other side, too, once all bytes have been passed on to it. */
static void end_input(struct wire_pump *pump)
{
	pump->is_input_over = true;
	if (wire_waiting(pump->inner) == 0) {
		shutdown(pump->inner->fd, SHUT_WR);
	}
}

static void move(struct wire_pump *pump, struct wire *from, struct wire *to)
{
	enum wire_result result = WIRE_OK;
	char chunk[CHUNK];
	size_t n = 0;

	for (int i = 0; i < CHUNKS_MAX && wire_waiting(to) < WAITING_MAX; i++) {
		result = wire_read(from, chunk, sizeof(chunk), &n);
		if (result != WIRE_OK) {
			break;
		}
		if (wire_send(to, &(struct iovec){chunk, n}, 1) < 0) {
			end(pump, false);
			return;
		}
	}
	if (result == WIRE_OK && wire_waiting(to) < WAITING_MAX) {
		wire_wake(from);
	} else if (result == WIRE_ENDED && from == pump->outer) {
		end_input(pump);
	} else if (result == WIRE_ENDED || result == WIRE_BROKEN) {
		end(pump, from == pump->inner);
	}
}

/* Whether nothing can be sent to the client any more. When its end has been read, reading tells
 * nothing else. */
static bool is_broken(const struct wire *outer)
{
	struct pollfd look = {.fd = outer->fd};

	return outer->is_broken || (poll(&look, 1, 0) > 0 && look.revents & (POLLHUP | POLLERR));
}

static void on_outer_ready(void *user)
{
	struct wire_pump *pump = user;

	if (!pump->outer) {
		return;
	}
	if (!pump->is_input_over) {
		move(pump, pump->outer, pump->inner);
	} else if (is_broken(pump->outer)) {
		end(pump, false);
	}
}

static void on_inner_ready(void *user)
{
	struct wire_pump *pump = user;

	if (pump->outer) {
		move(pump, pump->inner, pump->outer);
	}
}

static void on_inner_written(void *user)
{
	struct wire_pump *pump = user;

	if (pump->outer && pump->is_input_over) {
		end_input(pump);
	} else {
		on_outer_ready(user);
	}
}

/* No deadlines are set: the one who has the other end has its own. */
static const struct wire_callbacks outer_callbacks = {.ready = on_outer_ready,
						      .written = on_inner_ready};
static const struct wire_callbacks inner_callbacks = {.ready = on_inner_ready,
						      .written = on_inner_written};

static int inner_new(struct wire *outer, int fd, struct wire **ret_inner)
{
	struct wire *inner;
	int r = wire_new(fd, &outer->peer, &inner);

	if (r < 0) {
		close(fd);
		return r;
	}
	wire_set_silent(inner);
	r = wire_join(inner, outer->hub);
	if (r < 0) {
		wire_close(inner);
		return r;
	}
	*ret_inner = inner;
	return 0;
}

/* Makes a descriptor of the clear text of @outer, which belongs to the pump from then on. Returns
 * it, or a negative errno. */
static int pump_new(struct wire *outer)
{
	struct wire_pump *pump = calloc(1, sizeof(*pump));
	int fds[2];
	int r = !pump ? -ENOMEM
	      : socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ? -errno
											    : 0;

	if (r < 0) {
		free(pump);
		return r;
	}
	r = inner_new(outer, fds[0], &pump->inner);
	if (r < 0) {
		close(fds[1]);
		free(pump);
		return r;
	}
	pump->hub = outer->hub;
	pump->outer = outer;
	LIST_INSERT_HEAD(&outer->hub->pumps, pump, in_hub);
	wire_set_user(outer, &outer_callbacks, pump);
	wire_set_user(pump->inner, &inner_callbacks, pump);
	wire_set_deadline(outer, 0);
	wire_wake(outer);
	return fds[1];
}

int wire_into_fd(struct wire *wire)
{
	int fd = wire->fd;

	assert(wire_waiting(wire) == 0);
	if (wire->hub) {
		wire_settle(wire);
	}
	if (wire->lacks_bytes) {
		return -ENOMEM;
	}
	if (wire_ssl(wire) || wire->ahead.n) {
		return pump_new(wire);
	}
	if (wire->hub) {
		epoll_ctl(wire->hub->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		wire_bury(wire);
	} else {
		wire_tls_free(wire->tls);
		free(wire);
	}
	return fd;
}

int wire_fd(const struct wire *wire)
{
	return wire_ssl(wire) || !wire_is_whole(wire) ? -EBUSY : wire->fd;
}
