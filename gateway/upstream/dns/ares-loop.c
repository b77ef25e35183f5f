/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/ares-loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/timeout.h"
#include "common/watch.h"
#include "gateway/upstream/dns/ares-tcp.h"

struct ares_loop {
	struct timeout timer; /* for the time-outs of c-ares */
	ares_channel channel;
	struct ares_tcp tcp;
	struct ares_bill bill;
	LIST_HEAD(, watched_socket) sockets; /* watched_socket::in_loop */
	void (*worked)(void *userdata);
	void *userdata;
	unsigned n_handles; /* not closed yet */
	bool is_closing;
};

/* A socket of c-ares and the events that c-ares waits for. */
struct watched_socket {
	uv_poll_t poll;
	LIST_ENTRY(watched_socket) in_loop;
	struct ares_loop *ares;
	ares_socket_t fd;
	int events;
};

static void on_timeout(struct timeout *timer);

void ares_loop_arm(struct ares_loop *ares)
{
	struct timeval left;

	if (ares->is_closing) {
		return;
	}
	if (ares_timeout(ares->channel, NULL, &left)) {
		/* c-ares wants the time-out to have passed: round up. One that has, stays:
		 * questions that keep coming must not put it off. */
		int64_t ms = (int64_t)left.tv_sec * 1000 + ((int64_t)left.tv_usec + 999) / 1000;

		timeout_start(&ares->timer, on_timeout, ms);
	} else {
		timeout_stop(&ares->timer);
	}
}

static void ares_loop_process(struct ares_loop *ares, ares_socket_t readable,
			      ares_socket_t writable)
{
	ares_bill_begin(&ares->bill);
	ares_process_fd(ares->channel, readable, writable);
	ares_bill_end(&ares->bill);
	ares->worked(ares->userdata);
	ares_loop_arm(ares);
}

static void on_timeout(struct timeout *timer)
{
	ares_loop_process(CONTAINER_OF(timer, struct ares_loop, timer), ARES_SOCKET_BAD,
			  ARES_SOCKET_BAD);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Questions sent through a socket that cannot be watched end by their time-out. */
static void socket_watch(struct watched_socket *socket)
{
	(void)!watch_start(&socket->poll, socket->events, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watched_socket *socket = poll->data;
	struct ares_loop *ares = socket->ares;

	if (status < 0) {
		/* libuv has stopped the handle. c-ares reads the error from the socket. */
		events = UV_READABLE | UV_WRITABLE;
		socket_watch(socket);
	}
	ares_loop_process(ares, events & UV_READABLE ? socket->fd : ARES_SOCKET_BAD,
			  events & UV_WRITABLE ? socket->fd : ARES_SOCKET_BAD);
}

static void ares_loop_closed(struct ares_loop *ares)
{
	if (--ares->n_handles == 0) {
		free(ares);
	}
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct watched_socket *socket = handle->data;

	ares_loop_closed(socket->ares);
	free(socket);
}

static void on_timer_closed(uv_handle_t *handle)
{
	ares_loop_closed(CONTAINER_OF((uv_timer_t *)handle, struct ares_loop, timer.uv));
}

static struct watched_socket *socket_find(struct ares_loop *ares, ares_socket_t fd)
{
	struct watched_socket *socket;

	LIST_FOREACH(socket, &ares->sockets, in_loop) {
		if (socket->fd == fd) {
			break;
		}
	}
	return socket;
}

/* Returns NULL when out of memory. Questions sent through the socket then end by their time-out. */
static struct watched_socket *socket_new(struct ares_loop *ares, ares_socket_t fd)
{
	struct watched_socket *socket = calloc(1, sizeof(*socket));

	if (!socket || uv_poll_init(ares->timer.uv.loop, &socket->poll, fd) < 0) {
		free(socket);
		return NULL;
	}
	socket->poll.data = socket;
	socket->ares = ares;
	socket->fd = fd;
	ares->n_handles++;
	LIST_INSERT_HEAD(&ares->sockets, socket, in_loop);
	return socket;
}

static void on_socket_state(void *userdata, ares_socket_t fd, int readable, int writable)
{
	struct ares_loop *ares = userdata;
	struct watched_socket *socket = socket_find(ares, fd);
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

	if (events == 0) {
		/* c-ares closes the socket right after this. */
		if (socket) {
			LIST_REMOVE(socket, in_loop);
			uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
		}
		return;
	}
	if (!socket) {
		socket = socket_new(ares, fd);
	}
	if (socket) {
		socket->events = events;
		socket_watch(socket);
	}
}

static void library_init(void)
{
	/* Cannot fail on Unix, but must not run in two threads at once. */
	(void)ares_library_init(ARES_LIB_INIT_ALL);
}

static int channel_new(struct ares_loop *ares, const struct ares_loop_options *options)
{
	/* No search domains: a client's name must never be completed with a domain of the
	 * operator's. */
	struct ares_options of_ares = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = (int)options->timeout_ms,
		.tries = (int)options->n_tries,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = ares,
	};
	int present = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_DOMAINS |
		      ARES_OPT_SOCK_STATE_CB;
#ifdef ARES_OPT_QUERY_CACHE
	/* No cache in c-ares: of_ares.qcache_max_ttl is 0. The cache of the resolver knows more. */
	present |= ARES_OPT_QUERY_CACHE;
#endif
	int status = ares_init_options(&ares->channel, &of_ares, present);

	if (status != ARES_SUCCESS) {
		return -ENOMEM;
	}
	if (options->servers) {
		status = ares_set_servers_ports_csv(ares->channel, options->servers);
	}
	if (status != ARES_SUCCESS) {
		ares_destroy(ares->channel);
		return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	}
	return 0;
}

int ares_loop_new(uv_loop_t *loop, const struct ares_loop_options *options,
		  struct ares_loop **ret_ares)
{
	static uv_once_t once = UV_ONCE_INIT;
	struct ares_loop *ares = calloc(1, sizeof(*ares));

	if (!ares) {
		return -ENOMEM;
	}
	uv_once(&once, library_init);
	LIST_INIT(&ares->sockets);
	ares->worked = options->worked;
	ares->userdata = options->userdata;
	ares->bill = options->bill;
	int r = channel_new(ares, options);

	if (r < 0) {
		free(ares);
		return r;
	}
	ares_tcp_init(&ares->tcp, loop, ares->channel, &ares->bill);
	timeout_init(&ares->timer, loop);
	ares->n_handles = 1;
	*ret_ares = ares;
	return 0;
}

struct ares_loop *ares_loop_free(struct ares_loop *ares)
{
	if (!ares || ares->is_closing) {
		return NULL;
	}
	ares->is_closing = true;
	/* Also closes the sockets and ends the exchanges of ares_tcp. */
	ares_destroy(ares->channel);
	uv_close((uv_handle_t *)&ares->timer.uv, on_timer_closed);
	return NULL;
}

ares_channel ares_loop_channel(struct ares_loop *ares)
{
	return ares->channel;
}

void ares_loop_charge(struct ares_loop *ares, uint32_t crowd)
{
	ares_bill_charge(&ares->bill, crowd);
}
