/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/client-of.h"
#include "gateway/http/site.h"
#include "gateway/ws/endpoint-state.h"
#include "gateway/ws/upgrade.h"

enum {
	/* A client that never answers the close frame must not keep its descriptor. */
	CLOSE_TIMEOUT_S = 10,
};

static int on_opened(void *userdata, struct ws_connection *connection, void *exchange,
		     void **ret_session)
{
	struct ws_endpoint *endpoint = userdata;
	struct ws_session *session;
	int r = ws_session_new(endpoint, connection, endpoint->adopting, &session);

	(void)exchange;
	if (r == 0) {
		*ret_session = session;
	}
	return r;
}

/* @exchange: the request that was upgraded; NULL if it never reached the HTTP server. */
static void on_released(void *userdata, void *exchange)
{
	struct ws_endpoint *endpoint = userdata;

	endpoint->n_sockets--;
	if (exchange) {
		http_exchange_release(exchange);
	}
}

static void on_wire_closed(void *userdata, const struct address *peer)
{
	struct ws_endpoint *endpoint = userdata;

	worker_leave_connection(endpoint->env, peer);
}

static void on_duplicate_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
}

/* The hub must not report the end of a wire that it never had. */
static struct wire *new_wire(struct wire_hub *hub, int fd, const struct address *peer)
{
	struct wire *wire;

	if (wire_new(fd, peer, &wire) < 0) {
		close(fd);
		return NULL;
	}
	return wire_join(wire, hub) < 0 ? wire_close(wire) : wire;
}

/* Takes @wire, which is in a hub. */
static void adopt(struct ws_endpoint *endpoint, struct wire *wire, struct sv key,
		  const struct ws_client *client, struct http_exchange *exchange)
{
	_cleanup_(buffer_deinit) struct buffer answer = BUFFER_INIT;

	endpoint->n_sockets++;
	if (upgrade_write(key, &answer) < 0) {
		wire_close(wire);
		on_released(endpoint, exchange);
		return;
	}
	endpoint->adopting = client;
	ws_server_adopt(endpoint->server, &(struct ws_adoption){
						  .wire = wire,
						  .is_duplicate = exchange != NULL,
						  .answer = buffer_sv(&answer),
						  .request = exchange,
					  });
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
	const struct config *config = endpoint->env->config;
	const struct forwarded_headers headers = {.x_for = peek->forwarded_for,
						  .x_proto = peek->forwarded_proto};
	const struct forwarded_client who =
		forwarded_client(&config->proxies, FORWARDED_X, peer, &headers);
	const struct ws_client client = {.address = who.address, .is_secure = who.is_secure};
	char handshake[PEEK_MAX];
	struct wire *wire;

	/* The peek does not look for Forwarded. The handshake was peeked at, so it is there to be
	 * read. */
	if (config->forwarded != FORWARDED_X || upgrade_check(&upgrade) != UPGRADE_OK ||
	    recv(fd, handshake, peek->head.n, 0) != (ssize_t)peek->head.n) {
		return false;
	}
	wire = new_wire(endpoint->hub, fd, peer);
	if (wire) {
		adopt(endpoint, wire, upgrade.key, &client, NULL);
	} else {
		worker_leave_connection(endpoint->env, peer);
	}
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

/* Takes the connection of an accepted handshake away from the HTTP server. */
static void take_over(struct ws_endpoint *endpoint, struct http_exchange *exchange, struct sv key)
{
	const struct forwarded_client who = client_of(endpoint->env, exchange);
	const struct ws_client client = {.address = who.address, .is_secure = who.is_secure};
	int fd;

	client_warn_ignored(endpoint->env, exchange);
	if (endpoint->env->is_stopping || http_exchange_detach(exchange, &fd) < 0) {
		site_answer_text(endpoint->env->site, exchange, 503,
				 "The gateway has no room for this connection now.\n");
		return;
	}
	struct wire *wire = new_wire(endpoint->duplicates, fd, http_exchange_peer(exchange));

	if (wire) {
		adopt(endpoint, wire, key, &client, exchange);
	} else {
		http_exchange_release(exchange);
	}
}

void ws_endpoint_upgrade(struct ws_endpoint *endpoint, struct http_exchange *exchange)
{
	enum { CONNECTION, UPGRADE, VERSION, KEY, PROTOCOL, N };
	static const char *const names[N] = {
		[CONNECTION] = "Connection",           [UPGRADE] = "Upgrade",
		[VERSION] = "Sec-WebSocket-Version",   [KEY] = "Sec-WebSocket-Key",
		[PROTOCOL] = "Sec-WebSocket-Protocol",
	};
	const struct site *site = endpoint->env->site;
	struct buffer joined[N] = {BUFFER_INIT};
	struct sv values[N];

	for (size_t i = 0; i < N; i++) {
		values[i] = http_exchange_header_list(exchange, names[i], &joined[i]);
	}
	const struct upgrade upgrade = {
		.connection = values[CONNECTION],
		.upgrade = values[UPGRADE],
		.version = values[VERSION],
		.key = values[KEY],
		.protocol = values[PROTOCOL],
		.origin_allowed = site_allows(site, http_exchange_header(exchange, "Origin"),
					      http_exchange_header(exchange, "Host")),
	};
	enum upgrade_result result = upgrade_check(&upgrade);

	if (result == UPGRADE_OK) {
		take_over(endpoint, exchange, upgrade.key);
	} else {
		refuse(site, exchange, result);
	}
	for (size_t i = 0; i < N; i++) {
		buffer_deinit(&joined[i]);
	}
}

/* Creating and ending the endpoint. */

static int server_new(struct ws_endpoint *endpoint)
{
	const struct ws_server_options options = {
		.timeout_s = CLOSE_TIMEOUT_S,
		.ping_interval_s = endpoint->env->config->ping_interval_s,
		.opened = on_opened,
		.piece = ws_session_on_piece,
		.drained = ws_session_on_drained,
		.held = ws_session_on_held,
		.late = ws_session_on_late,
		.failed = ws_session_on_failed,
		.closed = ws_session_on_closed,
		.released = on_released,
		.userdata = endpoint,
	};

	return ws_server_new(&options, &endpoint->server);
}

static int hubs_new(struct ws_endpoint *endpoint)
{
	struct wire_hub_options options = {
		.loop = endpoint->env->loop,
		.closed = on_wire_closed,
		.userdata = endpoint,
	};
	int r = wire_hub_new(&options, &endpoint->hub);

	options.closed = on_duplicate_closed;
	return r < 0 ? r : wire_hub_new(&options, &endpoint->duplicates);
}

void ws_endpoint_reload(struct ws_endpoint *endpoint)
{
	endpoint->scan_options = framing_options(endpoint->env->config->n_body_max);
	ws_server_set_ping_interval(endpoint->server, endpoint->env->config->ping_interval_s);
}

int ws_endpoint_new(struct worker_env *env, struct ws_endpoint **ret_endpoint)
{
	struct ws_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint) {
		return -ENOMEM;
	}
	endpoint->env = env;
	endpoint->scan_options = framing_options(env->config->n_body_max);
	LIST_INIT(&endpoint->sessions);
	*ret_endpoint = endpoint;
	int r = server_new(endpoint);

	return r < 0 ? r : hubs_new(endpoint);
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
	if (endpoint && !endpoint->is_stopped) {
		endpoint->is_stopped = true;
		ws_server_stop(endpoint->server);
		wire_hub_close(endpoint->hub);
		wire_hub_close(endpoint->duplicates);
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
	wire_hub_free(endpoint->hub);
	wire_hub_free(endpoint->duplicates);
	buffer_deinit(&endpoint->scratch);
	free(endpoint);
	return NULL;
}
