/* SPDX-License-Identifier: MIT */
#include "tests/bench/flow.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/check.h"

enum {
	READ_SIZE = 64 * 1024,
};

void bytes_reserve(struct bytes *bytes, size_t n)
{
	if (bytes->size - bytes->n < n) {
		bytes->size = 2 * bytes->size + n;
		bytes->data = realloc(bytes->data, bytes->size);
		check(bytes->data, "memory");
	}
}

void bytes_add(struct bytes *bytes, const void *data, size_t n)
{
	if (n) {
		bytes_reserve(bytes, n);
		memcpy(bytes->data + bytes->n, data, n);
		bytes->n += n;
	}
}

void bytes_drop(struct bytes *bytes, size_t n)
{
	bytes->n -= n;
	if (bytes->n) {
		memmove(bytes->data, bytes->data + n, bytes->n);
	}
}

static void watch(struct flow *flow, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | (flow->waits ? EPOLLOUT : 0u),
				    .data.ptr = flow};

	check(epoll_ctl(flow->epoll, operation, flow->fd, &event) == 0, "epoll_ctl");
}

void flow_init(struct flow *flow, int epoll, int fd)
{
	int one = 1;

	flow->fd = fd;
	flow->epoll = epoll;
	check(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	watch(flow, EPOLL_CTL_ADD);
}

void flow_close(struct flow *flow)
{
	if (flow->fd >= 0) {
		close(flow->fd);
	}
	free(flow->in.data);
	free(flow->out.data);
	flow->in = flow->out = (struct bytes){0};
	flow->fd = -1;
}

bool flow_read(struct flow *flow)
{
	/* What is idle holds little: the buffer grows with what arrives. */
	static char data[READ_SIZE];
	ssize_t n = recv(flow->fd, data, sizeof(data), 0);

	if (n < 0 && errno == EAGAIN) {
		return true;
	}
	if (n > 0) {
		bytes_add(&flow->in, data, (size_t)n);
	}
	return n > 0;
}

static size_t transmit(struct flow *flow, const void *data, size_t n)
{
	ssize_t r = send(flow->fd, data, n, MSG_NOSIGNAL);

	/* The end of a connection shows when it is read. */
	return r < 0 ? (errno == EAGAIN ? 0 : n) : (size_t)r;
}

static void wait_to_send(struct flow *flow)
{
	bool waits = flow->out.n > 0;

	if (flow->waits != waits) {
		flow->waits = waits;
		watch(flow, EPOLL_CTL_MOD);
	}
}

void flow_send(struct flow *flow, const void *data, size_t n)
{
	size_t n_sent = flow->out.n ? 0 : transmit(flow, data, n);

	bytes_add(&flow->out, (const char *)data + n_sent, n - n_sent);
	wait_to_send(flow);
}

void flow_flush(struct flow *flow)
{
	if (flow->out.n) {
		bytes_drop(&flow->out, transmit(flow, flow->out.data, flow->out.n));
		wait_to_send(flow);
	}
}

size_t http_length(const char *data, size_t n, size_t *ret_n_head)
{
	static const char end[] = "\r\n\r\n";
	/* HAProxy writes it in small letters. */
	static const char *const names[] = {"Content-Length: ", "content-length: "};
	const char *at = memmem(data, n, end, sizeof(end) - 1);

	if (!at) {
		return 0;
	}
	*ret_n_head = (size_t)(at - data) + sizeof(end) - 1;
	for (size_t i = 0; i < 2; i++) {
		const char *length = memmem(data, *ret_n_head, names[i], strlen(names[i]));

		if (length) {
			return *ret_n_head + strtoul(length + strlen(names[i]), NULL, 10);
		}
	}
	return *ret_n_head;
}

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

int flow_listen(uint16_t *ret_port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 &&
		      listen(fd, SOMAXCONN) == 0,
	      "listen");
	check(getsockname(fd, (struct sockaddr *)&address, &n) == 0, "getsockname");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

int flow_connect(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(fd >= 0, "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}
