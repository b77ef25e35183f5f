/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/client-of.h"
#include "gateway/connection-log.h"
#include "gateway/http/date.h"
#include "gateway/http/site.h"
#include "gateway/ws/endpoint-state.h"
#include "gateway/ws/upgrade.h"

enum {
	/* A client that never answers the close frame must not keep its descriptor. */
	CLOSE_TIMEOUT_S = 10,
};

static int on_opened(void *userdata, struct ws_connection *connection, void **ret_session)
{
	struct ws_endpoint *endpoint = userdata;
	struct ws_session *session;
	int r = ws_session_new(endpoint, connection, endpoint->adopting, &session);

	if (r == 0) {
		*ret_session = session;
	}
	return r;
}

static void on_released(void *userdata)
{
	struct ws_endpoint *endpoint = userdata;

	endpoint->n_sockets--;
}

/* Counts the WebSocket for its client, if that is not the peer, whose connection has been counted.
 * Returns NULL or the limit that refuses it. */
static const char *take_seat(struct ws_endpoint *endpoint, const struct address *peer,
			     struct ws_client *client)
{
	const char *limit = NULL;

	if (!address_is_same_host(&client->address, peer)) {
		limit = worker_enter_forwarded(endpoint->env, &client->address);
		client->has_seat = !limit;
	}
	return limit;
}

/* Unless a session has it now. */
static void give_back_seat(struct ws_endpoint *endpoint, struct ws_client *client)
{
	if (client->has_seat) {
		client->has_seat = false;
		worker_leave_forwarded(endpoint->env, &client->address);
	}
}

/* Takes @wire, which is in a hub. */
static void adopt(struct ws_endpoint *endpoint, struct wire *wire, struct sv key,
		  struct ws_client *client)
{
	_cleanup_(buffer_deinit) struct buffer answer = BUFFER_INIT;

	endpoint->n_sockets++;
	struct sv date = http_date_line(endpoint->env->date, time(NULL));

	if (upgrade_write(key, client->is_coded, date, &answer) < 0) {
		wire_close(wire);
		on_released(endpoint);
		return;
	}
	endpoint->adopting = client;
	ws_server_adopt(endpoint->server, &(struct ws_adoption){
						  .wire = wire,
						  .is_coded = client->is_coded,
						  .answer = buffer_sv(&answer),
					  });
	endpoint->adopting = NULL;
}

static void refuse_client(struct ws_endpoint *endpoint, struct http_exchange *exchange,
			  const struct ws_client *client, const char *limit)
{
	connection_log_refused(endpoint->env, &client->address, limit);
	site_answer_text(endpoint->env->site, exchange, 503,
			 "Your address has too many connections to this gateway now.\n");
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
static void take_over(struct ws_endpoint *endpoint, struct http_exchange *exchange,
		      const struct upgrade *upgrade)
{
	struct forwarded_client who;

	if (client_of(endpoint->env, exchange, &who) < 0) {
		site_answer_without_memory(endpoint->env->site, exchange);
		return;
	}
	struct ws_client client = {
		.address = who.address,
		.is_secure = who.is_secure,
		.is_coded = endpoint->env->config->websocket_coding &&
			    upgrade_offers_deflate(upgrade->extensions),
	};
	const char *limit = take_seat(endpoint, http_exchange_peer(exchange), &client);
	struct wire *wire;

	client_warn_ignored(endpoint->env, exchange);
	if (limit) {
		refuse_client(endpoint, exchange, &client, limit);
		return;
	}
	if (endpoint->env->is_stopping || http_exchange_detach(exchange, &wire) < 0) {
		site_answer_text(endpoint->env->site, exchange, 503,
				 "The gateway has no room for this connection now.\n");
		give_back_seat(endpoint, &client);
		return;
	}
	adopt(endpoint, wire, upgrade->key, &client);
	give_back_seat(endpoint, &client);
}

void ws_endpoint_upgrade(struct ws_endpoint *endpoint, struct http_exchange *exchange)
{
	enum { CONNECTION, UPGRADE, VERSION, KEY, PROTOCOL, EXTENSIONS, N };
	static const char *const names[N] = {
		[CONNECTION] = "Connection",           [UPGRADE] = "Upgrade",
		[VERSION] = "Sec-WebSocket-Version",   [KEY] = "Sec-WebSocket-Key",
		[PROTOCOL] = "Sec-WebSocket-Protocol", [EXTENSIONS] = "Sec-WebSocket-Extensions",
	};
	const struct site *site = endpoint->env->site;
	struct buffer joined[N] = {BUFFER_INIT};
	struct sv values[N];
	int r = 0;

	for (size_t i = 0; i < N; i++) {
		values[i] = SV_EMPTY;
		r = r < 0 ? r
			  : http_exchange_header_list(exchange, names[i], &joined[i], &values[i]);
	}
	const struct upgrade upgrade = {
		.connection = values[CONNECTION],
		.upgrade = values[UPGRADE],
		.version = values[VERSION],
		.key = values[KEY],
		.protocol = values[PROTOCOL],
		.extensions = values[EXTENSIONS],
		.origin_is_allowed = site_allows(site, http_exchange_header(exchange, "Origin"),
						 http_exchange_header(exchange, "Host")),
	};
	enum upgrade_result result = upgrade_check(&upgrade);

	if (r < 0) {
		site_answer_without_memory(site, exchange);
	} else if (result == UPGRADE_OK) {
		take_over(endpoint, exchange, &upgrade);
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
		.emptied = ws_session_on_emptied,
		.held = ws_session_on_held,
		.late = ws_session_on_late,
		.failed = ws_session_on_failed,
		.message_max = ws_session_message_max,
		.too_large = ws_session_on_too_large,
		.closed = ws_session_on_closed,
		.released = on_released,
		.userdata = endpoint,
	};

	return ws_server_new(&options, &endpoint->server);
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
	return server_new(endpoint);
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
