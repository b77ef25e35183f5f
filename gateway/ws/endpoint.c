/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/http/site.h"
#include "gateway/ws/endpoint-state.h"
#include "gateway/ws/upgrade.h"

enum {
	/* A client that never answers the close frame must not keep its descriptor. */
	CLOSE_TIMEOUT_S = 10,
};

/* A socket given to the WebSocket server. Tells on_opened() who the client is. */
struct request {
	struct address client;
	struct address peer;
	/* the request that was upgraded; NULL if it never reached the HTTP server */
	struct http_exchange *exchange;
};

static int on_opened(void *userdata, struct ws_connection *connection, void *request_pointer,
		     void **ret_session)
{
	const struct request *request = request_pointer;
	struct ws_session *session;
	int r = ws_session_new(userdata, connection, &request->client, &session);

	if (r == 0) {
		*ret_session = session;
	}
	return r;
}

/* The socket of @request is closed. */
static void release(struct ws_endpoint *endpoint, const struct request *request)
{
	endpoint->n_sockets--;
	if (request->exchange) {
		http_exchange_release(request->exchange);
	} else {
		worker_leave_connection(endpoint->env, &request->peer);
	}
}

static void on_released(void *userdata, void *request)
{
	release(userdata, request);
	free(request);
}

static void adopt(struct ws_endpoint *endpoint, int fd, struct sv key,
		  const struct request *request)
{
	_cleanup_(buffer_deinit) struct buffer handshake = BUFFER_INIT;
	struct request *copy = malloc(sizeof(*copy));

	endpoint->n_sockets++;
	if (!copy || upgrade_write(endpoint->env->config->websocket_path, key, &handshake) < 0) {
		free(copy);
		close(fd);
		release(endpoint, request);
		return;
	}
	*copy = *request;
	ws_server_adopt(endpoint->server, fd, buffer_sv(&handshake), copy);
}

bool ws_endpoint_adopt(struct ws_endpoint *endpoint, int fd, const struct address *peer,
		       const struct peek *peek)
{
	const struct upgrade upgrade = {
		.connection = peek->connection,
		.upgrade = peek->upgrade,
		.version = peek->version,
		.key = peek->key,
		.protocol = peek->protocol,
		.origin_allowed = site_allows(endpoint->env->site, peek->origin, peek->host),
	};
	const struct request request = {
		.client =
			client_address(&endpoint->env->config->proxies, peer, peek->forwarded_for),
		.peer = *peer,
	};
	char handshake[PEEK_MAX];

	/* The handshake was peeked at, so it is there to be read. */
	if (upgrade_check(&upgrade) != UPGRADE_OK ||
	    recv(fd, handshake, peek->head.n, 0) != (ssize_t)peek->head.n) {
		return false;
	}
	adopt(endpoint, fd, upgrade.key, &request);
	return true;
}

static void refuse(const struct site *site, struct http_exchange *exchange,
		   enum upgrade_result result)
{
	if (result == UPGRADE_E_ORIGIN) {
		site_refuse_origin(site, exchange);
	} else {
		site_answer_text(site, exchange, upgrade_status(result), upgrade_sentence(result));
	}
}

void ws_endpoint_upgrade(struct ws_endpoint *endpoint, struct http_exchange *exchange)
{
	const struct site *site = endpoint->env->site;
	const struct upgrade upgrade = {
		.connection = http_exchange_header(exchange, "Connection"),
		.upgrade = http_exchange_header(exchange, "Upgrade"),
		.version = http_exchange_header(exchange, "Sec-WebSocket-Version"),
		.key = http_exchange_header(exchange, "Sec-WebSocket-Key"),
		.protocol = http_exchange_header(exchange, "Sec-WebSocket-Protocol"),
		.origin_allowed = site_allows(site, http_exchange_header(exchange, "Origin"),
					      http_exchange_header(exchange, "Host")),
	};
	enum upgrade_result result = upgrade_check(&upgrade);
	_cleanup_(buffer_deinit) struct buffer addresses = BUFFER_INIT;
	struct request request = {.exchange = exchange};
	int fd;

	if (result != UPGRADE_OK) {
		refuse(site, exchange, result);
		return;
	}
	if (endpoint->env->is_stopping || http_exchange_detach(exchange, &fd) < 0) {
		site_answer_text(site, exchange, 503,
				 "The gateway has no room for this connection now.\n");
		return;
	}
	request.peer = *http_exchange_peer(exchange);
	request.client =
		client_address(&endpoint->env->config->proxies, &request.peer,
			       http_exchange_header_list(exchange, "X-Forwarded-For", &addresses));
	adopt(endpoint, fd, upgrade.key, &request);
}

/* Creating and ending the endpoint. */

int ws_endpoint_new(struct worker_env *env, struct ws_endpoint **ret_endpoint)
{
	struct ws_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint) {
		return -ENOMEM;
	}
	endpoint->env = env;
	endpoint->scan_options = framing_options(env->config->n_body_max);
	LIST_INIT(&endpoint->sessions);
	int r = ws_server_new(
		&(struct ws_server_options){
			.loop = env->loop,
			.timeout_s = CLOSE_TIMEOUT_S,
			.ping_interval_s = env->config->ping_interval_s,
			.opened = on_opened,
			.piece = ws_session_on_piece,
			.drained = ws_session_on_drained,
			.closed = ws_session_on_closed,
			.released = on_released,
			.userdata = endpoint,
		},
		&endpoint->server);

	if (r < 0) {
		free(endpoint);
		return r;
	}
	*ret_endpoint = endpoint;
	return 0;
}

void ws_endpoint_shut(struct ws_endpoint *endpoint)
{
	struct ws_session *session;

	LIST_FOREACH(session, &endpoint->sessions, in_endpoint) {
		ws_session_shut(session);
	}
}

void ws_endpoint_stop(struct ws_endpoint *endpoint)
{
	if (endpoint) {
		ws_server_stop(endpoint->server);
	}
}

bool ws_endpoint_is_busy(const struct ws_endpoint *endpoint)
{
	return endpoint && endpoint->n_sockets;
}

struct ws_endpoint *ws_endpoint_free(struct ws_endpoint *endpoint)
{
	if (!endpoint) {
		return NULL;
	}
	ws_server_free(endpoint->server);
	buffer_deinit(&endpoint->scratch);
	free(endpoint);
	return NULL;
}
