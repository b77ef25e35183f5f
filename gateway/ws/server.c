/* SPDX-License-Identifier: MIT */
#include "gateway/ws/server.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/ws/server-state.h"
#include "gateway/ws/unsent.h"

/* The end. */

/* What the client is still sent although it has sent its close frame: what has begun. */
static size_t length_of_begun(const struct ws_connection *connection)
{
	size_t n_committed = wire_committed(connection->wire), n_answer = connection->n_answer;
	struct sv frames = sv_skip(wire_queue(connection->wire), n_answer);

	return n_answer + unsent_begun(frames, n_committed > n_answer ? n_committed - n_answer : 0);
}

/* Whether the session gets back what is unsent. */
static bool gives_back(const struct ws_connection *connection)
{
	return !connection->has_sent_close || connection->returns_unsent;
}

/* Tells the session, once, that the connection has ended. It gets back the messages that follow the
 * first @n_kept bytes of the queue, and the client does not get them. */
static void tell_closed(struct ws_connection *connection, size_t n_kept)
{
	_cleanup_(buffer_deinit) struct buffer texts = BUFFER_INIT;
	struct ws_server *server = connection->server;
	void *session = connection->session;

	if (!session) {
		return;
	}
	if (gives_back(connection)) {
		struct sv unsent = sv_skip(wire_queue(connection->wire), n_kept);

		(void)!unsent_texts(unsent, server->coder, &texts);
	}
	connection->session = NULL;
	server->options.closed(session, buffer_sv(&texts));
}

/* Frees the connection. @lingers: the client is given time to read what was sent. */
static void end(struct ws_connection *connection, bool lingers)
{
	struct ws_server *server = connection->server;
	/* What the session gets back must not reach the client, too. */
	bool is_cut = gives_back(connection) && wire_waiting(connection->wire);

	tell_closed(connection, connection->n_answer);
	if (lingers && !is_cut) {
		wire_linger(connection->wire);
	} else {
		wire_close(connection->wire);
	}
	LIST_REMOVE(connection, in_server);
	frames_deinit(&connection->frames);
	buffer_deinit(&connection->held);
	buffer_deinit(&connection->coded);
	buffer_deinit(&connection->plain);
	buffer_deinit(&connection->pong);
	free(connection);
	server->options.released(server->options.userdata);
}

/* The client has sent its close frame. Ours follows what has begun. */
static void answer_close(struct ws_connection *connection)
{
	if (!connection->has_sent_close) {
		size_t n_kept = length_of_begun(connection);

		tell_closed(connection, n_kept);
		wire_withdraw(connection->wire, n_kept);
		ws_send_close(connection, connection->peer_status, SV_EMPTY);
	}
	tell_closed(connection, 0);
}

/* Whether the client has gone while its session is paused, so that what it sent last is still to be
 * delivered. */
static bool is_undelivered(const struct ws_connection *connection)
{
	return (connection->held.n || connection->plain.n) && connection->session &&
	       !connection->has_sent_close &&
	       (connection->peer_has_closed || wire_is_hung_up(connection->wire));
}

/* Whether nothing more has to be said or heard. A client that has ended its side may still read:
 * what the session wants back is sent as long as there is time. */
static bool is_over(const struct ws_connection *connection)
{
	bool is_closed = connection->has_sent_close &&
			 (connection->peer_has_closed || connection->peer_has_failed);

	return wire_waiting(connection->wire) == 0
		     ? connection->is_hung_up || is_closed
		     : connection->is_hung_up && !connection->returns_unsent;
}

/* Looks after each callback whether the connection has ended. */
static void settle(struct ws_connection *connection)
{
	if (connection->is_lost) {
		end(connection, false);
		return;
	}
	if (connection->is_starved && !connection->has_sent_close) {
		ws_fail_memory(connection);
	}
	if (is_undelivered(connection)) {
		connection->has_deadline = false;
		if (!connection->is_draining) {
			connection->is_draining = true;
			wire_set_deadline(connection->wire, connection->server->options.timeout_s);
		}
		return;
	}
	if (connection->peer_has_closed && !connection->returns_unsent) {
		answer_close(connection);
	}
	if (is_over(connection)) {
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

	if (connection->is_stopped) {
		/* Its pong may be among what is not read. */
		connection->awaits_pong = false;
	} else if (connection->awaits_pong) {
		connection->is_lost = true;
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

	if (connection->has_sent_close || connection->is_draining) {
		connection->is_lost = true;
	} else if (connection->has_deadline) {
		connection->has_deadline = false;
		connection->server->options.late(connection->session);
	} else {
		on_silence(connection);
	}
	settle(connection);
}

static size_t on_spent(void *user, struct sv queue, size_t n_sent)
{
	struct ws_connection *connection = user;
	size_t n = connection->n_answer;

	if (n_sent < n) {
		return 0;
	}
	connection->n_answer = 0;
	return n + unsent_whole(sv_skip(queue, n), n_sent - n);
}

static const struct wire_callbacks wire_callbacks = {
	.ready = on_ready,
	.written = on_written,
	.late = on_late,
	.spent = on_spent,
};

void ws_set_deadline(struct ws_connection *connection, unsigned seconds)
{
	if (!connection->has_sent_close) {
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
		connection->n_answer = wire_queue(adoption->wire).n;
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
