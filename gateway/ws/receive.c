/* SPDX-License-Identifier: MIT */
#include "gateway/ws/server-state.h"

/* What stands before the bytes of a piece in `held`. */
struct held_piece {
	size_t n;
	bool is_final, is_text, is_coded;
};

/* Whether the session wants no more messages. */
static bool is_deaf(const struct ws_connection *connection)
{
	return connection->has_sent_close || !connection->session;
}

/* The client broke @rule; NULL: out of memory. */
static void fail(struct ws_connection *connection, unsigned status, const char *rule)
{
	connection->peer_has_failed = true;
	if (!is_deaf(connection)) {
		connection->server->options.failed(connection->session, rule);
	}
	ws_send_close(connection, status, sv_from(rule));
}

void ws_fail_memory(struct ws_connection *connection)
{
	fail(connection, WS_CLOSE_INTERNAL, NULL);
}

static void hold(struct ws_connection *connection, const struct held_piece *piece, struct sv data)
{
	if (buffer_append(&connection->held, piece, sizeof(*piece)) < 0 ||
	    buffer_append_sv(&connection->held, data) < 0) {
		ws_fail_memory(connection);
	}
}

/* Delivers a portion of the expanded message. */
static void deliver_plain(struct ws_connection *connection)
{
	struct sv plain = buffer_sv(&connection->plain);
	struct sv portion = sv_first(plain, wire_portion(connection->wire));
	bool is_final = portion.n == plain.n;

	connection->server->options.piece(connection->session, portion.data, portion.n, is_final,
					  connection->is_text);
	if (is_final) {
		buffer_deinit(&connection->plain);
	} else {
		buffer_consume(&connection->plain, portion.n);
	}
}

/* Delivers @plain, or keeps it where this turn has brought enough: a few bytes can be a text of
 * 256 KB, which takes 8 ms to read. */
static void take_plain(struct ws_connection *connection, struct buffer *plain, bool is_text)
{
	connection->n_expanded += plain->n;
	if (connection->n_expanded <= wire_portion(connection->wire)) {
		connection->server->options.piece(connection->session, buffer_sv(plain).data,
						  plain->n, true, is_text);
		return;
	}
	connection->plain = *plain;
	connection->is_text = is_text;
	*plain = BUFFER_INIT;
}

/* A compressed message is complete. */
static void expand(struct ws_connection *connection, bool is_text)
{
	const struct ws_server_options *options = &connection->server->options;
	_cleanup_(buffer_deinit) struct buffer plain = BUFFER_INIT;
	int r = coder_decode_message(connection->server->coder, &connection->coded,
				     options->message_max(connection->session), &plain);

	buffer_deinit(&connection->coded);
	if (r < 0) {
		ws_fail_memory(connection);
	} else if (r == CODING_E_TOO_LARGE) {
		options->too_large(connection->session);
	} else if (r != CODING_OK) {
		fail(connection, FRAMES_STATUS_TEXT, "the message cannot be decompressed");
	} else if (is_text && !utf8_is_valid(buffer_sv(&plain))) {
		fail(connection, FRAMES_STATUS_TEXT, "the text is not UTF-8");
	} else {
		take_plain(connection, &plain, is_text);
	}
}

static void gather_coded(struct ws_connection *connection, const struct held_piece *piece,
			 struct sv data)
{
	const struct ws_server_options *options = &connection->server->options;

	/* What does not shrink is not sent compressed. */
	if (connection->coded.n + data.n > options->message_max(connection->session)) {
		options->too_large(connection->session);
	} else if (buffer_append_sv(&connection->coded, data) < 0) {
		ws_fail_memory(connection);
	} else if (piece->is_final) {
		expand(connection, piece->is_text);
	} else {
		options->held(connection->session);
	}
}

static void deliver(struct ws_connection *connection, const struct held_piece *piece,
		    struct sv data)
{
	if (piece->is_coded) {
		gather_coded(connection, piece, data);
	} else {
		connection->server->options.piece(connection->session, data.data, data.n,
						  piece->is_final, piece->is_text);
	}
}

/* Whether the session takes more in this turn. */
static bool takes_more(const struct ws_connection *connection)
{
	return connection->plain.n == 0 && !connection->is_paused && !is_deaf(connection);
}

/* The session takes what was held for it, until it is paused again or has had enough. */
static void deliver_held(struct ws_connection *connection)
{
	struct held_piece piece;
	bool had_any = connection->held.n || connection->plain.n;

	connection->n_expanded = 0;
	if (connection->plain.n && !connection->is_paused && !is_deaf(connection)) {
		connection->n_expanded = wire_portion(connection->wire);
		deliver_plain(connection);
	}
	while (connection->held.n && takes_more(connection)) {
		struct sv held = buffer_sv(&connection->held);

		memcpy(&piece, held.data, sizeof(piece));
		deliver(connection, &piece, sv_first(sv_skip(held, sizeof(piece)), piece.n));
		buffer_consume(&connection->held, sizeof(piece) + piece.n);
	}
	if (is_deaf(connection)) {
		buffer_deinit(&connection->held);
		buffer_deinit(&connection->plain);
	} else if (had_any) {
		connection->server->options.held(connection->session);
	}
}

static void on_piece(struct ws_connection *connection, const struct frames_event *event)
{
	const struct held_piece piece = {
		.n = event->data.n,
		.is_final = event->is_final,
		.is_text = event->is_text,
		.is_coded = event->is_coded,
	};

	if (is_deaf(connection)) {
		return;
	}
	if (connection->held.n == 0 && takes_more(connection)) {
		deliver(connection, &piece, event->data);
	} else {
		hold(connection, &piece, event->data);
	}
}

static void on_event(struct ws_connection *connection, const struct frames_event *event)
{
	switch (event->kind) {
	case FRAMES_EVENT_NONE:
	case FRAMES_EVENT_PONG:
		break;
	case FRAMES_EVENT_PIECE:
		on_piece(connection, event);
		break;
	case FRAMES_EVENT_PING:
		ws_send_pong(connection, event->data);
		break;
	case FRAMES_EVENT_CLOSE:
		connection->peer_has_closed = true;
		connection->peer_status =
			event->status == FRAMES_STATUS_NONE ? WS_CLOSE_NORMAL : event->status;
		break;
	case FRAMES_EVENT_BAD:
		fail(connection, event->status, event->mistake);
		break;
	}
}

static void on_bytes(struct ws_connection *connection, char *bytes, size_t n)
{
	struct frames_event event;
	int r;

	frames_feed(&connection->frames, bytes, n);
	do {
		r = frames_next(&connection->frames, &event);
		if (r < 0) {
			ws_fail_memory(connection);
			return;
		}
		on_event(connection, &event);
	} while (event.kind != FRAMES_EVENT_NONE);
}

/* The client lives: its time until the next ping begins anew. */
static void on_sign_of_life(struct ws_connection *connection)
{
	connection->awaits_pong = false;
	if (connection->has_sent_close || connection->peer_has_closed) {
		return;
	}
	/* If it has gone, the time for what is still to be delivered begins anew. */
	connection->is_draining = false;
	if (!connection->has_deadline) {
		wire_set_deadline(connection->wire, connection->server->options.ping_interval_s);
	}
}

/* Returns whether there may be more to read. */
static bool read_once(struct ws_connection *connection)
{
	struct ws_server *server = connection->server;
	size_t n, n_held = connection->held.n + connection->plain.n,
		  n_portion = wire_portion(connection->wire);

	switch (wire_read(connection->wire, server->input, n_portion, &n)) {
	case WIRE_OK:
		break;
	case WIRE_AGAIN:
		return false;
	case WIRE_BROKEN:
		connection->is_lost = true;
		return false;
	case WIRE_ENDED:
		connection->is_hung_up = true;
		return false;
	}
	on_sign_of_life(connection);
	on_bytes(connection, server->input, n);
	if (connection->held.n + connection->plain.n != n_held && !is_deaf(connection)) {
		server->options.held(connection->session);
	}
	/* The end does not come as an event of its own. */
	return n == n_portion || wire_is_hung_up(connection->wire);
}

void ws_receive(struct ws_connection *connection)
{
	deliver_held(connection);
	connection->is_stopped = connection->held.n >= WS_HELD_MAX || connection->plain.n;
	/* After the client's end, a break of the connection can still be seen. */
	bool is_ended = connection->is_hung_up && !connection->returns_unsent;
	bool has_more = !connection->is_stopped && !is_ended && read_once(connection);

	/* What was read can have left a message to be delivered, too. */
	if (has_more || (connection->plain.n && !connection->is_paused)) {
		wire_wake(connection->wire);
	}
}

void ws_pause(struct ws_connection *connection, bool is_paused)
{
	connection->is_paused = is_paused;
	if (!is_paused && (connection->held.n || connection->plain.n || connection->is_stopped)) {
		wire_wake(connection->wire);
	}
}
