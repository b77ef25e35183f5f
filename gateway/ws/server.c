/* SPDX-License-Identifier: MIT */
#include "gateway/ws/server.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/ws/server-state.h"

/* The end. */

/* Tells the session that the connection has ended, once. */
static void tell_closed(struct ws_connection *connection)
{
	void *session = connection->session;

	if (session) {
		connection->session = NULL;
		connection->server->options.closed(session, connection->peer_closed);
	}
}

/* Frees the connection. @lingers: the client is given time to read what was sent. */
static void end(struct ws_connection *connection, bool lingers)
{
	struct ws_server *server = connection->server;

	tell_closed(connection);
	if (lingers) {
		wire_linger(connection->wire);
	} else {
		wire_close(connection->wire);
	}
	LIST_REMOVE(connection, in_server);
	frames_deinit(&connection->frames);
	buffer_deinit(&connection->held);
	buffer_deinit(&connection->coded);
	buffer_deinit(&connection->pong);
	free(connection);
	server->options.released(server->options.userdata);
}

/* Whether the client has gone while its session is paused, so that what it sent last is still to be
 * delivered. */
static bool is_undelivered(const struct ws_connection *connection)
{
	return connection->held.n && connection->session && !connection->close_sent &&
	       (connection->peer_closed || wire_is_hung_up(connection->wire));
}

/* Looks after each callback whether the connection has ended. */
static void settle(struct ws_connection *connection)
{
	if (connection->lost) {
		end(connection, false);
		return;
	}
	if (is_undelivered(connection)) {
		connection->has_deadline = false;
		if (!connection->draining) {
			connection->draining = true;
			wire_set_deadline(connection->wire, connection->server->options.timeout_s);
		}
		return;
	}
	if (connection->peer_closed) {
		ws_send_close(connection, connection->peer_status, SV_EMPTY);
		tell_closed(connection);
	}
	bool is_over =
		connection->hung_up ||
		(connection->close_sent && (connection->peer_closed || connection->peer_failed));

	if (is_over && (connection->hung_up || wire_waiting(connection->wire) == 0)) {
		/* Everything is said. The server closes first (RFC 6455, 7.1.1). */
		end(connection, true);
	}
}

/* Callbacks of the wire. */

static void on_ready(void *user)
{
	ws_receive(user);
	settle(user);
}

static void on_written(void *user)
{
	ws_on_written(user);
	settle(user);
}

/* The client has been silent for an interval. */
static void on_silence(struct ws_connection *connection)
{
	unsigned interval_s = connection->server->options.ping_interval_s;

	if (connection->stopped) {
		/* Its pong may be among what is not read. */
		connection->awaits_pong = false;
	} else if (connection->awaits_pong) {
		connection->lost = true;
		return;
	} else {
		connection->awaits_pong = true;
		ws_send_control(connection, FRAME_PING, SV_EMPTY);
	}
	wire_set_deadline(connection->wire, interval_s);
}

static void on_late(void *user)
{
	struct ws_connection *connection = user;

	if (connection->close_sent || connection->draining) {
		connection->lost = true;
	} else if (connection->has_deadline) {
		connection->has_deadline = false;
		connection->server->options.late(connection->session);
	} else {
		on_silence(connection);
	}
	settle(connection);
}

static const struct wire_callbacks wire_callbacks = {
	.ready = on_ready,
	.written = on_written,
	.late = on_late,
};

void ws_set_deadline(struct ws_connection *connection, unsigned seconds)
{
	if (!connection->close_sent) {
		connection->has_deadline = seconds;
		wire_set_deadline(connection->wire,
				  seconds ? seconds : connection->server->options.ping_interval_s);
	}
}

/* The beginning. */

static int open_connection(struct ws_connection *connection, const struct ws_adoption *adoption)
{
	struct ws_server *server = connection->server;
	const struct ws_server_options *options = &server->options;
	const struct iovec part = {(char *)adoption->answer.data, adoption->answer.n};
	int r = adoption->is_coded && !server->coder ? coder_new(&server->coder) : 0;

	if (r == 0) {
		r = wire_send_later(adoption->wire, &part, 1);
	}
	return r < 0 ? r : options->opened(options->userdata, connection, &connection->session);
}

void ws_server_adopt(struct ws_server *server, const struct ws_adoption *adoption)
{
	struct ws_connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		wire_close(adoption->wire);
		server->options.released(server->options.userdata);
		return;
	}
	connection->server = server;
	connection->wire = adoption->wire;
	connection->is_coded = adoption->is_coded;
	frames_init(&connection->frames, adoption->is_coded);
	LIST_INSERT_HEAD(&server->connections, connection, in_server);
	wire_set_user(connection->wire, &wire_callbacks, connection);
	ws_set_deadline(connection, 0);
	if (open_connection(connection, adoption) < 0) {
		end(connection, false);
		return;
	}
	/* Frames may have come with the handshake. */
	wire_wake(connection->wire);
}

int ws_server_new(const struct ws_server_options *options, struct ws_server **ret_server)
{
	struct ws_server *server = calloc(1, sizeof(*server));

	if (!server) {
		return -ENOMEM;
	}
	server->options = *options;
	LIST_INIT(&server->connections);
	*ret_server = server;
	return 0;
}

void ws_server_stop(struct ws_server *server)
{
	struct ws_connection *connection;

	while (server && (connection = LIST_FIRST(&server->connections))) {
		end(connection, false);
	}
}

void ws_server_set_ping_interval(struct ws_server *server, unsigned interval_s)
{
	server->options.ping_interval_s = interval_s;
}

struct ws_server *ws_server_free(struct ws_server *server)
{
	if (server) {
		coder_free(server->coder);
		buffer_deinit(&server->joined);
		buffer_deinit(&server->scratch);
		free(server);
	}
	return NULL;
}
