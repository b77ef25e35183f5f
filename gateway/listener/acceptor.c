/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/listener/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/log.h"
#include "common/watch.h"

struct accepting {
	SLIST_ENTRY(accepting) in_acceptor;
	struct acceptor *acceptor;
	uv_poll_t poll;
	int fd, listener;
};

SLIST_HEAD(accepting_list, accepting);

struct acceptor {
	uv_loop_t *loop;
	acceptor_accepted accepted;
	void *userdata;
	struct accepting_list sockets;
	uv_timer_t pause;
	bool is_paused;
};

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer);

static void take_a_break(struct acceptor *acceptor, int error)
{
	struct accepting *socket;

	log_error("accept-failed", LOG_STR("error", strerror(error)));
	acceptor->is_paused = true;
	SLIST_FOREACH(socket, &acceptor->sockets, in_acceptor) {
		uv_poll_stop(&socket->poll);
	}
	uv_timer_start(&acceptor->pause, on_pause_over, ACCEPTOR_PAUSE_MS, 0);
}

static void start(struct acceptor *acceptor)
{
	struct accepting *socket;
	int r = 0;

	SLIST_FOREACH(socket, &acceptor->sockets, in_acceptor) {
		r = r < 0 ? r : watch_start(&socket->poll, UV_READABLE, on_readable);
	}
	if (r < 0) {
		take_a_break(acceptor, -r);
	}
}

static void on_pause_over(uv_timer_t *timer)
{
	struct acceptor *acceptor = CONTAINER_OF(timer, struct acceptor, pause);

	acceptor->is_paused = false;
	start(acceptor);
}

static bool is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

static int peer_of(const struct sockaddr_storage *storage, struct address *ret_peer)
{
	if (storage->ss_family == AF_UNIX) {
		*ret_peer = (struct address){
			.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
		return 0;
	}
	return address_from_sockaddr((const struct sockaddr *)storage, ret_peer);
}

/* Whether @error is of one connection, which is gone, and others may wait behind it (accept(2)). */
static bool is_of_connection(int error)
{
	return error == ECONNABORTED || error == EPROTO || error == EINTR;
}

/* Accepts up to @n connections. Returns false when none waits or none can be accepted. */
static bool accept_some(struct accepting *socket, int n)
{
	struct acceptor *acceptor = socket->acceptor;

	for (int i = 0; i < n; i++) {
		struct sockaddr_storage storage = {0};
		socklen_t n_storage = sizeof(storage);
		struct address peer;
		int fd = accept4(socket->fd, (struct sockaddr *)&storage, &n_storage,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && is_of_connection(errno)) {
			continue;
		}
		if (fd < 0) {
			if (is_exhausted(errno)) {
				take_a_break(acceptor, errno);
			}
			return false;
		}
		if (peer_of(&storage, &peer) < 0) {
			close(fd);
			continue;
		}
		acceptor->accepted(acceptor->userdata, fd, &peer, socket->listener);
	}
	return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	accept_some(CONTAINER_OF(poll, struct accepting, poll), ACCEPTOR_BATCH);
}

/* Sockets. */

static void on_socket_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF((uv_poll_t *)handle, struct accepting, poll));
}

static void close_sockets(struct accepting_list *list)
{
	struct accepting *socket;

	while ((socket = SLIST_FIRST(list))) {
		SLIST_REMOVE_HEAD(list, in_acceptor);
		uv_poll_stop(&socket->poll);
		close(socket->fd);
		uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
	}
}

static int add(struct acceptor *acceptor, const struct acceptor_socket *from,
	       struct accepting_list *list)
{
	struct accepting *socket = calloc(1, sizeof(*socket));

	if (!socket) {
		return -ENOMEM;
	}
	socket->acceptor = acceptor;
	socket->listener = from->listener;
	socket->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
	int r = socket->fd < 0 ? -errno : uv_poll_init(acceptor->loop, &socket->poll, socket->fd);

	if (r < 0) {
		if (socket->fd >= 0) {
			close(socket->fd);
		}
		free(socket);
		return r;
	}
	SLIST_INSERT_HEAD(list, socket, in_acceptor);
	return 0;
}

int acceptor_set(struct acceptor *acceptor, const struct acceptor_socket *sockets, size_t n_sockets)
{
	struct accepting_list before = acceptor->sockets;
	struct accepting_list list = SLIST_HEAD_INITIALIZER(list);
	struct accepting *socket;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_sockets; i++) {
		r = add(acceptor, &sockets[i], &list);
	}
	if (r < 0) {
		close_sockets(&list);
		return r;
	}
	SLIST_FOREACH(socket, &before, in_acceptor) {
		if (!acceptor->is_paused) {
			accept_some(socket, ACCEPTOR_REST_MAX);
		}
	}
	close_sockets(&before);
	acceptor->sockets = list;
	if (!acceptor->is_paused) {
		start(acceptor);
	}
	return 0;
}

int acceptor_new(uv_loop_t *loop, acceptor_accepted accepted, void *userdata,
		 struct acceptor **ret_acceptor)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

	if (!acceptor) {
		return -ENOMEM;
	}
	acceptor->loop = loop;
	acceptor->accepted = accepted;
	acceptor->userdata = userdata;
	SLIST_INIT(&acceptor->sockets);
	uv_timer_init(loop, &acceptor->pause);
	*ret_acceptor = acceptor;
	return 0;
}

static void on_acceptor_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF((uv_timer_t *)handle, struct acceptor, pause));
}

struct acceptor *acceptor_free(struct acceptor *acceptor)
{
	if (acceptor) {
		close_sockets(&acceptor->sockets);
		uv_close((uv_handle_t *)&acceptor->pause, on_acceptor_closed);
	}
	return NULL;
}
