/* SPDX-License-Identifier: MIT */
#include "gateway/http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/buffer.h"

enum {
	SHARD_CONNECTIONS_MAX = 256,
	/* libmicrohttpd looks for connections whose time is over when it is run. */
	TIMEOUT_CHECK_MS = 1000,
	WATCH_EVENTS = 64,
};

struct shard {
	SLIST_ENTRY(shard) in_server;
	struct http_server *server;
	LIST_HEAD(, connection) connections;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	size_t n_connections;
	bool due; /* a connection was resumed: run before the loop sleeps */
};

struct connection {
	LIST_ENTRY(connection) in_shard;
	struct shard *shard;
	struct address peer;
	int fd; /* libmicrohttpd's */
	struct http_exchange *exchange; /* the one under way, or NULL */
	bool detached;
	bool hung_up; /* the client sends no more: it is not there to be answered later */
};

struct http_exchange {
	struct connection *connection;
	struct MHD_Connection *mhd;
	const char *method;
	char *path;
	struct buffer body;
	size_t n_discarded;
	void *userdata;
	bool too_large; /* the body is, and has been thrown away */
	bool ambiguous; /* where it ends is told twice */
	bool dispatched, suspended, answered, gone;
};

struct http_server {
	struct http_server_options options;
	SLIST_HEAD(, shard) shards;
	size_t n_handles; /* that are not closed yet; the server goes with the last */
	uv_check_t check;
	uv_timer_t timer;
	uv_poll_t watch; /* of watch_fd */
	int watch_fd;    /* an epoll that tells of clients that hang up while they are suspended */
	struct connection *adopting;
};

/* Running. */

static void shard_run(struct shard *shard)
{
	unsigned MHD_LONG_LONG timeout;

	shard->due = false;
	do {
		MHD_run(shard->daemon);
		/* Resumed connections may be left over: libmicrohttpd says so by a timeout of 0. */
	} while (MHD_get_timeout(shard->daemon, &timeout) == MHD_YES && timeout == 0);
}

static void on_shard_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	shard_run(CONTAINER_OF(poll, struct shard, poll));
}

static void on_check(uv_check_t *check)
{
	struct http_server *server = CONTAINER_OF(check, struct http_server, check);
	struct shard *shard;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		if (shard->due) {
			shard_run(shard);
		}
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct http_server *server = CONTAINER_OF(timer, struct http_server, timer);
	struct shard *shard;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		if (shard->n_connections) {
			shard_run(shard);
		}
	}
}

/* The client of a suspended request has gone. */
static void hang_up(struct http_exchange *exchange)
{
	struct http_server *server = exchange->connection->shard->server;

	exchange->gone = true;
	server->options.gone(server->options.userdata, exchange);
	/* Nobody reads this; it is how the connection comes to its end. */
	http_exchange_answer(exchange, &(struct http_answer){.status = 400, .close = true});
}

/* libmicrohttpd does not look at suspended connections, so this is how a held request is known to be nobody's. */
static void on_watch(uv_poll_t *watch, int status, int events)
{
	struct http_server *server = CONTAINER_OF(watch, struct http_server, watch);
	struct epoll_event ready[WATCH_EVENTS];
	int n;

	(void)status;
	(void)events;
	n = epoll_wait(server->watch_fd, ready, WATCH_EVENTS, 0);
	for (int i = 0; i < n; i++) {
		struct connection *connection = ready[i].data.ptr;
		struct http_exchange *exchange = connection->exchange;

		connection->hung_up = true;
		if (exchange && exchange->suspended && !connection->detached && !exchange->gone) {
			hang_up(exchange);
		}
	}
}

/* Requests. */

static enum MHD_Result count_header(void *userdata, enum MHD_ValueKind kind, const char *key, const char *value)
{
	unsigned *counts = userdata;

	(void)kind;
	(void)value;
	if (sv_eq_nocase(sv_from(key), SV("content-length"))) {
		counts[0]++;
	} else if (sv_eq_nocase(sv_from(key), SV("transfer-encoding"))) {
		counts[1]++;
	}
	return MHD_YES;
}

/* Two ways to tell where a body ends are how requests are smuggled past a proxy (CWE-444). */
static bool is_ambiguous(struct MHD_Connection *mhd)
{
	unsigned counts[2] = {0, 0};

	MHD_get_connection_values(mhd, MHD_HEADER_KIND, count_header, counts);
	return counts[0] + counts[1] > 1;
}

static struct http_exchange *exchange_new(struct MHD_Connection *mhd, const char *method, const char *path)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange || !info || !info->socket_context) {
		free(exchange);
		return NULL;
	}
	exchange->path = strdup(path);
	if (!exchange->path) {
		free(exchange);
		return NULL;
	}
	exchange->connection = info->socket_context;
	exchange->connection->exchange = exchange;
	exchange->mhd = mhd;
	exchange->method = method;
	exchange->ambiguous = is_ambiguous(mhd);
	return exchange;
}

/* Takes a piece of the body. False when the client goes on for too long. */
static bool take_body(struct http_exchange *exchange, const char *data, size_t n)
{
	size_t n_max = exchange->connection->shard->server->options.n_body_max;

	if (!exchange->too_large && n <= n_max - exchange->body.n) {
		return buffer_append(&exchange->body, data, n) == 0;
	}
	if (exchange->body.n < HTTP_KEEP_LARGE) {
		size_t n_room = HTTP_KEEP_LARGE - exchange->body.n;

		(void)!buffer_append(&exchange->body, data, n < n_room ? n : n_room);
	}
	exchange->body.n = exchange->body.n < HTTP_KEEP_LARGE ? exchange->body.n : HTTP_KEEP_LARGE;
	exchange->too_large = true;
	exchange->n_discarded += n;
	return exchange->n_discarded <= HTTP_DISCARD_MAX;
}

static void dispatch(struct http_exchange *exchange)
{
	struct http_server *server = exchange->connection->shard->server;

	exchange->dispatched = true;
	if (exchange->ambiguous) {
		http_exchange_answer(exchange, &(struct http_answer){.status = 400, .close = true});
		return;
	}
	server->options.request(server->options.userdata, exchange);
	if (!exchange->answered && !exchange->suspended) {
		exchange->suspended = true;
		MHD_suspend_connection(exchange->mhd);
		if (exchange->connection->hung_up) {
			hang_up(exchange);
		}
	}
}

/* A body that says of itself that it will not even be read to its end. */
static bool is_hopeless(const struct http_exchange *exchange)
{
	size_t n_max = exchange->connection->shard->server->options.n_body_max;
	struct sv length = http_exchange_header(exchange, "Content-Length");
	uint64_t n;

	return length.n && (sv_to_u64(length, UINT64_MAX, &n) < 0 || n > n_max + HTTP_DISCARD_MAX);
}

static enum MHD_Result on_access(void *userdata, struct MHD_Connection *mhd, const char *path,
				 const char *method, const char *version, const char *data, size_t *n_data,
				 void **exchange_slot)
{
	struct http_exchange *exchange = *exchange_slot;

	(void)userdata;
	(void)version;
	if (!exchange) {
		exchange = exchange_new(mhd, method, path);
		*exchange_slot = exchange;
		if (exchange && is_hopeless(exchange)) {
			/* Answered before the body has come, which ends the connection. */
			exchange->too_large = true;
			dispatch(exchange);
		}
		return exchange ? MHD_YES : MHD_NO;
	}
	if (*n_data) {
		bool taken = take_body(exchange, data, *n_data);

		*n_data = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	if (!exchange->dispatched) {
		dispatch(exchange);
	}
	return MHD_YES;
}

static void on_completed(void *userdata, struct MHD_Connection *mhd, void **exchange_slot,
			 enum MHD_RequestTerminationCode code)
{
	struct http_exchange *exchange = *exchange_slot;

	(void)userdata;
	(void)mhd;
	(void)code;
	if (!exchange) {
		return;
	}
	struct http_server *server = exchange->connection->shard->server;

	exchange->connection->exchange = NULL;
	if (exchange->dispatched && !exchange->ambiguous) {
		if (!exchange->answered && !exchange->gone) {
			exchange->gone = true;
			server->options.gone(server->options.userdata, exchange);
		}
		server->options.done(server->options.userdata, exchange);
	}
	buffer_deinit(&exchange->body);
	free(exchange->path);
	free(exchange);
	*exchange_slot = NULL;
}

static void on_connection(void *userdata, struct MHD_Connection *mhd, void **connection_slot,
			  enum MHD_ConnectionNotificationCode code)
{
	struct shard *shard = userdata;
	struct http_server *server = shard->server;

	(void)mhd;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		LIST_INSERT_HEAD(&shard->connections, server->adopting, in_shard);
		*connection_slot = server->adopting;
		server->adopting = NULL;
		shard->n_connections++;
		return;
	}
	struct connection *connection = *connection_slot;

	shard->n_connections--;
	LIST_REMOVE(connection, in_shard);
	if (connection->detached) {
		/* The socket lives on in another descriptor, so the epoll would go on telling of it. */
		epoll_ctl(server->watch_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	}
	server->options.closed(server->options.userdata, &connection->peer);
	free(connection);
}

/* Answering. */

static void free_body(void *blob)
{
	blob_unref(blob);
}

static struct MHD_Response *response_new(const struct http_answer *answer)
{
	struct MHD_Response *response;

	if (answer->body) {
		response = MHD_create_response_from_buffer_with_free_callback_cls(
			answer->body->n, answer->body->data, free_body, answer->body);
	} else {
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	}
	if (!response) {
		blob_unref(answer->body);
		return NULL;
	}
	if (answer->content_type) {
		MHD_add_response_header(response, "Content-Type", answer->content_type);
	}
	for (const char *const *header = answer->headers; header && header[0]; header += 2) {
		MHD_add_response_header(response, header[0], header[1]);
	}
	if (answer->close) {
		MHD_add_response_header(response, "Connection", "close");
	}
	return response;
}

void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	if (exchange->answered) {
		blob_unref(answer->body);
		return;
	}
	struct MHD_Response *response = response_new(answer);

	exchange->answered = true;
	if (response) {
		MHD_queue_response(exchange->mhd, answer->status, response);
		MHD_destroy_response(response);
	}
	if (exchange->suspended) {
		exchange->suspended = false;
		exchange->connection->shard->due = true;
		MHD_resume_connection(exchange->mhd);
	}
}

int http_exchange_detach(struct http_exchange *exchange, int *ret_fd)
{
	int fd = fcntl(exchange->connection->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	exchange->connection->detached = true;
	if (!exchange->suspended) {
		exchange->suspended = true;
		MHD_suspend_connection(exchange->mhd);
	}
	*ret_fd = fd;
	return 0;
}

void http_exchange_release(struct http_exchange *exchange)
{
	http_exchange_answer(exchange, &(struct http_answer){.status = 400, .close = true});
}

/* Looking. */

struct sv http_exchange_method(const struct http_exchange *exchange)
{
	return sv_from(exchange->method);
}

struct sv http_exchange_path(const struct http_exchange *exchange)
{
	return sv_from(exchange->path);
}

struct sv http_exchange_body(const struct http_exchange *exchange)
{
	return buffer_sv(&exchange->body);
}

bool http_exchange_body_too_large(const struct http_exchange *exchange)
{
	return exchange->too_large;
}

struct sv http_exchange_header(const struct http_exchange *exchange, const char *name)
{
	return sv_from(MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name));
}

const struct address *http_exchange_peer(const struct http_exchange *exchange)
{
	return &exchange->connection->peer;
}

void http_exchange_set_userdata(struct http_exchange *exchange, void *userdata)
{
	exchange->userdata = userdata;
}

void *http_exchange_userdata(const struct http_exchange *exchange)
{
	return exchange->userdata;
}

/* Shards. */

static int shard_new(struct http_server *server, struct shard **ret_shard)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (!shard) {
		return -ENOMEM;
	}
	shard->server = server;
	shard->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access,
		server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, shard, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_POOL,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)SHARD_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		server->options.timeout_s, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!shard->daemon) {
		free(shard);
		return -ENOMEM;
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(shard->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int r = uv_poll_init(server->options.loop, &shard->poll, info->epoll_fd);

	if (r < 0) {
		MHD_stop_daemon(shard->daemon);
		free(shard);
		return r;
	}
	uv_poll_start(&shard->poll, UV_READABLE, on_shard_readable);
	server->n_handles++;
	SLIST_INSERT_HEAD(&server->shards, shard, in_server);
	*ret_shard = shard;
	return 0;
}

static int shard_with_room(struct http_server *server, struct shard **ret_shard)
{
	struct shard *shard;

	SLIST_FOREACH(shard, &server->shards, in_server) {
		if (shard->n_connections < SHARD_CONNECTIONS_MAX) {
			*ret_shard = shard;
			return 0;
		}
	}
	return shard_new(server, ret_shard);
}

static int connection_watch(struct http_server *server, struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};

	return epoll_ctl(server->watch_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0 ? -errno : 0;
}

int http_server_adopt(struct http_server *server, int fd, const struct address *peer)
{
	struct shard *shard = NULL;
	struct connection *connection = calloc(1, sizeof(*connection));
	int r = connection ? 0 : -ENOMEM;

	if (r == 0) {
		r = shard_with_room(server, &shard);
	}
	if (r == 0) {
		*connection = (struct connection){.shard = shard, .peer = *peer, .fd = fd};
		r = connection_watch(server, connection);
	}
	if (r < 0) {
		close(fd);
		free(connection);
		return r;
	}
	server->adopting = connection;
	if (MHD_add_connection(shard->daemon, fd, &peer->any, address_size(peer)) != MHD_YES) {
		/* It has closed the descriptor; whether it had told of the connection is seen by who has it now. */
		if (server->adopting) {
			free(connection);
		}
		server->adopting = NULL;
		return -ENOMEM;
	}
	shard_run(shard);
	return 0;
}

/* Life of the server. */

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	if (--server->n_handles == 0) {
		close(server->watch_fd);
		free(server);
	}
}

static void on_shard_closed(uv_handle_t *handle)
{
	struct shard *shard = CONTAINER_OF((uv_poll_t *)handle, struct shard, poll);
	struct http_server *server = shard->server;

	MHD_stop_daemon(shard->daemon);
	free(shard);
	handle = (uv_handle_t *)&server->check;
	on_handle_closed(handle);
}

int http_server_new(const struct http_server_options *options, struct http_server **ret_server)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (!server) {
		return -ENOMEM;
	}
	server->options = *options;
	SLIST_INIT(&server->shards);
	server->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->watch_fd < 0) {
		int r = -errno;

		free(server);
		return r;
	}
	int r = uv_poll_init(options->loop, &server->watch, server->watch_fd);

	if (r < 0) {
		close(server->watch_fd);
		free(server);
		return r;
	}
	uv_check_init(options->loop, &server->check);
	uv_timer_init(options->loop, &server->timer);
	server->watch.data = server;
	server->check.data = server;
	server->timer.data = server;
	server->n_handles = 3;
	uv_poll_start(&server->watch, UV_READABLE, on_watch);
	uv_check_start(&server->check, on_check);
	uv_timer_start(&server->timer, on_timer, TIMEOUT_CHECK_MS, TIMEOUT_CHECK_MS);
	*ret_server = server;
	return 0;
}

/* libmicrohttpd does not stop while a connection is suspended. */
static void shard_resume_all(struct shard *shard)
{
	struct connection *connection;

	LIST_FOREACH(connection, &shard->connections, in_shard) {
		if (connection->exchange && connection->exchange->suspended) {
			http_exchange_answer(connection->exchange,
					     &(struct http_answer){.status = 503, .close = true});
		}
	}
	shard_run(shard);
}

struct http_server *http_server_free(struct http_server *server)
{
	struct shard *shard;

	if (!server) {
		return NULL;
	}
	while ((shard = SLIST_FIRST(&server->shards))) {
		SLIST_REMOVE_HEAD(&server->shards, in_server);
		shard_resume_all(shard);
		uv_close((uv_handle_t *)&shard->poll, on_shard_closed);
	}
	uv_close((uv_handle_t *)&server->watch, on_handle_closed);
	uv_close((uv_handle_t *)&server->check, on_handle_closed);
	uv_close((uv_handle_t *)&server->timer, on_handle_closed);
	return NULL;
}
