/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/watch.h"
#include "gateway/http/server-state.h"

enum {
	SHARD_CONNECTIONS_MAX = 256,
	/* How often shards are run so that libmicrohttpd checks for connections that timed out. */
	TIMEOUT_CHECK_MS = 1000,
	WATCH_EVENTS = 64,
	/* One run of libmicrohttpd reads at most the pool's size in bytes from each connection.
	 * Clients that send as fast as they are read could otherwise occupy the worker: a shard
	 * gets at most this many runs at a time. */
	SHARD_RUNS_MAX = 4,
	/* How long a connection stays whose client has closed its side and is owed no answer. What
	 * it has sent is there already and is read within moments. */
	HUNG_UP_S = 2,
};

/* Running. */

/* Whether the shard still has work: resumed connections, or bytes to be read. libmicrohttpd then
 * reports a timeout of 0. */
static bool shard_is_due(const struct http_shard *shard)
{
	unsigned MHD_LONG_LONG timeout;

	return MHD_get_timeout(shard->daemon, &timeout) == MHD_YES && timeout == 0;
}

/* Leaves the shard due if work is left, or if a request was answered meanwhile. */
static void shard_run(struct http_shard *shard)
{
	bool is_due = true;

	shard->due = false;
	for (unsigned i = 0; i < SHARD_RUNS_MAX && is_due; i++) {
		MHD_run(shard->daemon);
		is_due = shard_is_due(shard);
	}
	shard->due = shard->due || is_due;
}

static void on_shard_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	shard_run(CONTAINER_OF(poll, struct http_shard, poll));
}

/* Runs the shards that are due. Returns whether any still is. */
static bool run_due(struct http_server *server)
{
	struct http_shard *shard;
	bool is_due = false;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		if (shard->due) {
			shard_run(shard);
		}
	}
	SLIST_FOREACH(shard, &server->shards, in_server) {
		is_due = is_due || shard->due;
	}
	return is_due;
}

/* Runs after the loop has polled: answers given there go out in the same iteration. */
static void on_check(uv_check_t *check)
{
	(void)run_due(CONTAINER_OF(check, struct http_server, check));
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

/* Runs after the timers and before the loop sleeps, which it must not do while a shard is due. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct http_server *server = CONTAINER_OF(prepare, struct http_server, prepare);

	if (run_due(server)) {
		uv_idle_start(&server->idle, on_idle);
	} else {
		uv_idle_stop(&server->idle);
	}
}

static unsigned idle_of(const struct wire_peer *peer)
{
	return peer->idle_s ? peer->idle_s : HTTP_IDLE_S;
}

/* How many seconds a connection has, counted from `since`, to send its next request. */
static unsigned patience_s(const struct http_connection *connection)
{
	if (connection->exchange && connection->exchange->gather.cut) {
		return HTTP_CUT_S;
	}
	if (connection->hung_up) {
		return HUNG_UP_S;
	}
	return connection->shard->server->options.limits.timeout_s +
	       (connection->served ? idle_of(&connection->peer) : 0);
}

/* libmicrohttpd restarts its timeout with every byte, so a client that sends one byte per second
 * could hold its descriptor forever. And it does not notice an end that has arrived together with a
 * request: its epoll is edge-triggered, and it does not read again after a read that was short. */
static void shard_cut_slow(struct http_shard *shard)
{
	struct http_server *server = shard->server;
	struct http_connection *connection;

	LIST_FOREACH(connection, &shard->connections, in_shard) {
		bool receiving = !connection->exchange || !connection->exchange->dispatched;
		struct mono end = mono_add_s(connection->since, patience_s(connection));

		if (receiving && mono_reached(end, http_server_now(server))) {
			shutdown(connection->fd, SHUT_RDWR);
		}
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct http_server *server = CONTAINER_OF(timer, struct http_server, timer);
	struct http_shard *shard;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		if (shard->n_connections) {
			shard_cut_slow(shard);
			shard_run(shard);
		}
	}
}

/* libmicrohttpd does not watch suspended connections, so this is how the server learns that the
 * client of a held request has hung up. Others get a moment for what they have sent before. */
static void on_watch(uv_poll_t *watch, int status, int events)
{
	struct http_server *server = CONTAINER_OF(watch, struct http_server, watch);
	struct epoll_event ready[WATCH_EVENTS];
	int n;

	(void)status;
	(void)events;
	n = epoll_wait(server->watch_fd, ready, WATCH_EVENTS, 0);
	for (int i = 0; i < n; i++) {
		struct http_connection *connection = ready[i].data.ptr;
		struct mhd_exchange *exchange = connection->exchange;

		connection->hung_up = true;
		connection->since = http_server_now(server);
		if (exchange && exchange->suspended && !connection->detached &&
		    !exchange->base.gone) {
			mhd_exchange_hang_up(exchange);
		}
	}
}

/* Connections. */

static void on_connection(void *userdata, struct MHD_Connection *mhd, void **connection_slot,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_shard *shard = userdata;
	struct http_server *server = shard->server;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT,
					  idle_of(&server->adopting->peer));
		LIST_INSERT_HEAD(&shard->connections, server->adopting, in_shard);
		*connection_slot = server->adopting;
		server->adopting = NULL;
		shard->n_connections++;
		return;
	}
	struct http_connection *connection = *connection_slot;

	shard->n_connections--;
	LIST_REMOVE(connection, in_shard);
	/* Where another descriptor refers to the same socket, closing this one does not remove it
	 * from the epoll: the wire of a WebSocket, or, for a while, the process that passed the
	 * connection. */
	epoll_ctl(server->watch_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	if (!connection->detached) {
		server->options.closed(server->options.userdata, &connection->peer.address);
	}
	free(connection);
}

/* Shards. */

static void on_shard_closed(uv_handle_t *handle);

static int shard_new(struct http_server *server, bool large, struct http_shard **ret_shard)
{
	struct http_shard *shard = calloc(1, sizeof(*shard));

	if (!shard) {
		return -ENOMEM;
	}
	shard->server = server;
	shard->large = large;
	shard->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		mhd_exchange_on_access, server, MHD_OPTION_NOTIFY_COMPLETED,
		mhd_exchange_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		shard, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)(large ? HTTP_POOL_LARGE : HTTP_POOL), MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)SHARD_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)HTTP_IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!shard->daemon) {
		free(shard);
		return -ENOMEM;
	}
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(shard->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int r = uv_poll_init(server->options.loop, &shard->poll, info->epoll_fd);

	if (r < 0) {
		MHD_stop_daemon(shard->daemon);
		free(shard);
		return r;
	}
	server->n_handles++;
	r = watch_start(&shard->poll, UV_READABLE, on_shard_readable);
	if (r < 0) {
		uv_close((uv_handle_t *)&shard->poll, on_shard_closed);
		return r;
	}
	SLIST_INSERT_HEAD(&server->shards, shard, in_server);
	*ret_shard = shard;
	return 0;
}

static int shard_with_room(struct http_server *server, bool large, struct http_shard **ret_shard)
{
	struct http_shard *shard;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		if (shard->large == large && shard->n_connections < SHARD_CONNECTIONS_MAX) {
			*ret_shard = shard;
			return 0;
		}
	}
	return shard_new(server, large, ret_shard);
}

static int connection_watch(struct http_server *server, struct http_connection *connection)
{
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};

	return epoll_ctl(server->watch_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0 ? -errno : 0;
}

bool http_server_has_room(const struct http_server *server, size_t n_head)
{
	struct http_shard *shard;
	size_t n_large = 0;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		n_large += shard->large ? shard->n_connections : 0;
	}
	return n_head <= HTTP_POOL_HEAD || n_large < HTTP_LARGE_MAX;
}

int http_server_adopt(struct http_server *server, int fd, const struct wire_peer *peer,
		      size_t n_head)
{
	struct http_shard *shard = NULL;
	struct http_connection *connection = calloc(1, sizeof(*connection));
	int r = connection ? 0 : -ENOMEM;

	if (r == 0) {
		r = shard_with_room(server, n_head > HTTP_POOL_HEAD, &shard);
	}
	if (r == 0) {
		*connection = (struct http_connection){
			.shard = shard, .peer = *peer, .fd = fd, .since = http_server_now(server)};
		r = connection_watch(server, connection);
	}
	if (r < 0) {
		close(fd);
		free(connection);
		return r;
	}
	server->adopting = connection;
	const struct address *address = &peer->address;

	if (MHD_add_connection(shard->daemon, fd, &address->any, address_size(address)) !=
		    MHD_YES &&
	    server->adopting) {
		/* libmicrohttpd has closed the descriptor. If it had reported the connection's
		 * start, on_connection() would have cleared `adopting`, and freed the connection at
		 * its end. */
		server->adopting = NULL;
		free(connection);
		return -ENOMEM;
	}
	shard_run(shard);
	return 0;
}

static bool shard_is_busy(const struct http_shard *shard)
{
	struct http_connection *connection;

	LIST_FOREACH(connection, &shard->connections, in_shard) {
		if (connection->exchange && !connection->detached) {
			return true;
		}
	}
	return false;
}

bool http_server_is_busy(const struct http_server *server)
{
	struct http_shard *shard;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		if (shard_is_busy(shard)) {
			return true;
		}
	}
	return false;
}

/* Creating and ending the server. */

static void server_drop(struct http_server *server)
{
	if (server->watch_fd >= 0) {
		close(server->watch_fd);
	}
	free(server);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	if (--server->n_handles == 0) {
		server_drop(server);
	}
}

static void on_shard_closed(uv_handle_t *handle)
{
	struct http_shard *shard = CONTAINER_OF((uv_poll_t *)handle, struct http_shard, poll);
	struct http_server *server = shard->server;

	MHD_stop_daemon(shard->daemon);
	free(shard);
	handle = (uv_handle_t *)&server->check;
	on_handle_closed(handle);
}

int http_server_new(const struct http_options *options, struct http_server **ret_server)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (!server) {
		return -ENOMEM;
	}
	server->options = *options;
	SLIST_INIT(&server->shards);
	server->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	int r = server->watch_fd < 0 ? -errno : 0;

	if (r == 0) {
		r = uv_poll_init(options->loop, &server->watch, server->watch_fd);
	}
	if (r < 0) {
		server_drop(server);
		return r;
	}
	uv_check_init(options->loop, &server->check);
	uv_prepare_init(options->loop, &server->prepare);
	uv_idle_init(options->loop, &server->idle);
	uv_timer_init(options->loop, &server->timer);
	server->watch.data = server;
	server->check.data = server;
	server->prepare.data = server;
	server->idle.data = server;
	server->timer.data = server;
	server->n_handles = 5;
	r = watch_start(&server->watch, UV_READABLE, on_watch);
	if (r < 0) {
		http_server_free(server);
		return r;
	}
	uv_check_start(&server->check, on_check);
	uv_prepare_start(&server->prepare, on_prepare);
	uv_timer_start(&server->timer, on_timer, TIMEOUT_CHECK_MS, TIMEOUT_CHECK_MS);
	*ret_server = server;
	return 0;
}

void http_server_reload(struct http_server *server, const struct http_limits *limits)
{
	server->options.limits = *limits;
}

/* libmicrohttpd does not stop while a connection is suspended. */
static void shard_resume_all(struct http_shard *shard)
{
	struct http_connection *connection;

	LIST_FOREACH(connection, &shard->connections, in_shard) {
		if (connection->exchange && connection->exchange->suspended) {
			http_exchange_answer(&connection->exchange->base,
					     &(struct http_answer){.status = 503, .close = true});
		}
	}
	shard_run(shard);
}

struct http_server *http_server_free(struct http_server *server)
{
	struct http_shard *shard;

	if (!server) {
		return NULL;
	}
	server->closing = true;
	while ((shard = SLIST_FIRST(&server->shards))) {
		SLIST_REMOVE_HEAD(&server->shards, in_server);
		shard_resume_all(shard);
		uv_close((uv_handle_t *)&shard->poll, on_shard_closed);
	}
	uv_close((uv_handle_t *)&server->watch, on_handle_closed);
	uv_close((uv_handle_t *)&server->check, on_handle_closed);
	uv_close((uv_handle_t *)&server->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&server->idle, on_handle_closed);
	uv_close((uv_handle_t *)&server->timer, on_handle_closed);
	return NULL;
}
