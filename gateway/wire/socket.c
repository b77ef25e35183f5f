/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/socket.h>

#include "gateway/wire/state.h"

ssize_t wire_receive(struct wire *wire, char *data, size_t size, int flags)
{
	ssize_t n;

	do {
		n = recv(wire->fd, data, size, flags);
	} while (n < 0 && errno == EINTR);
	return n;
}

ssize_t wire_transmit(struct wire *wire, const struct iovec *parts, size_t n_parts)
{
	const struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = n_parts};
	ssize_t n;

	do {
		n = sendmsg(wire->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n;
}

void wire_want_write(struct wire *wire, bool wants)
{
	struct epoll_event event = {.events = WIRE_EVENTS | EPOLLET | (wants ? EPOLLOUT : 0u),
				    .data.ptr = wire};

	if (wire->wants_write != wants) {
		wire->wants_write = wants;
		epoll_ctl(wire->hub->epoll_fd, EPOLL_CTL_MOD, wire->fd, &event);
	}
}

void wire_wake(struct wire *wire)
{
	wire->wakes = true;
	due_queue_add(&wire->hub->due, &wire->due);
}

size_t wire_portion(const struct wire *wire)
{
	const struct turn *turn = wire->hub->options.turn;

	if (!turn || !turn_is_watched(turn, &wire->turn)) {
		return WIRE_PORTION;
	}
	return turn_is_pressed(turn, &wire->turn) ? WIRE_PORTION_SMALL : WIRE_PORTION_WATCHED;
}
