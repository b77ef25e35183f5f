/* SPDX-License-Identifier: MIT */
#include "common/utf8.h"
#include "gateway/ws/server-state.h"

enum {
	STATUS_SIZE = 2,
	/* While more than this waits, pongs do not join it: a client that sends pings and does not
	 * read could otherwise fill the memory. RFC 6455, 5.5.3, wants the last one answered. */
	PONG_WATER = 16 * 1024,
};

static int send_frame(struct ws_connection *connection, struct frame_head frame, struct sv payload,
		      struct sv rest)
{
	unsigned char head[FRAME_HEAD_MAX];

	frame.n_payload = payload.n + rest.n;
	const struct iovec parts[] = {
		{head, frame_head_write(frame, head)},
		{(char *)payload.data, payload.n},
		{(char *)rest.data, rest.n},
	};
	int r = connection->lost ? 0
				 : wire_send_later(connection->wire, parts, ARRAY_LENGTH(parts));

	if (r < 0) {
		/* A part of the frame may be sent: nothing can follow it. */
		connection->lost = true;
		wire_wake(connection->wire);
	}
	return r;
}

static bool is_worth_coding(const struct ws_connection *connection, size_t n)
{
	return connection->is_coded && n >= CODING_TEXT_MIN && n <= CODING_TEXT_MAX;
}

/* Compresses @text and @rest, unless there is no memory: then they go as they are. */
static bool compress(struct ws_connection *connection, struct sv text, struct sv rest,
		     struct sv *ret_coded)
{
	struct ws_server *server = connection->server;

	buffer_clear(&server->joined);
	buffer_clear(&server->scratch);
	if (rest.n) {
		if (buffer_append_sv(&server->joined, text) < 0 ||
		    buffer_append_sv(&server->joined, rest) < 0) {
			return false;
		}
		text = buffer_sv(&server->joined);
	}
	if (coder_encode_message(server->coder, text, &server->scratch) < 0) {
		return false;
	}
	*ret_coded = buffer_sv(&server->scratch);
	return ret_coded->n < text.n;
}

int ws_send(struct ws_connection *connection, struct sv text, struct sv rest)
{
	struct frame_head frame = {.opcode = FRAME_TEXT};
	struct sv coded;
	int r;

	if (connection->close_sent) {
		return 0;
	}
	if (is_worth_coding(connection, text.n + rest.n) &&
	    compress(connection, text, rest, &coded)) {
		frame.coded = true;
		r = send_frame(connection, frame, coded, SV_EMPTY);
	} else {
		r = send_frame(connection, frame, text, rest);
	}
	connection->congested =
		connection->congested || wire_waiting(connection->wire) > WS_HIGH_WATER;
	return r;
}

void ws_send_control(struct ws_connection *connection, enum frame_opcode opcode, struct sv payload)
{
	/* Without memory the connection ends. */
	(void)!send_frame(connection, (struct frame_head){.opcode = opcode}, payload, SV_EMPTY);
}

void ws_send_pong(struct ws_connection *connection, struct sv payload)
{
	if (connection->close_sent) {
		return;
	}
	if (wire_waiting(connection->wire) <= PONG_WATER) {
		ws_send_control(connection, FRAME_PONG, payload);
		return;
	}
	buffer_clear(&connection->pong);
	connection->owes_pong = buffer_append_sv(&connection->pong, payload) == 0;
}

void ws_send_close(struct ws_connection *connection, unsigned status, struct sv reason)
{
	char payload[STATUS_SIZE + WS_REASON_MAX] = {(char)(status >> 8), (char)status};

	if (connection->close_sent) {
		return;
	}
	reason = utf8_cut(reason, WS_REASON_MAX);
	if (reason.n) {
		memcpy(payload + STATUS_SIZE, reason.data, reason.n);
	}
	ws_send_control(connection, FRAME_CLOSE, (struct sv){payload, STATUS_SIZE + reason.n});
	connection->close_sent = true;
	connection->has_deadline = false;
	/* From now on: a client that no longer reads would never get that far. */
	wire_set_deadline(connection->wire, connection->server->options.timeout_s);
}

void ws_close(struct ws_connection *connection, enum ws_close_status status, struct sv reason)
{
	ws_send_close(connection, status, reason);
	/* The client's close frame must be received, although reading was stopped. */
	wire_wake(connection->wire);
}

bool ws_is_congested(const struct ws_connection *connection)
{
	return connection->congested;
}

size_t ws_held(const struct ws_connection *connection)
{
	return wire_waiting(connection->wire) + connection->held.size + connection->coded.size +
	       connection->pong.size + frames_held(&connection->frames);
}

void ws_on_written(struct ws_connection *connection)
{
	size_t n_waiting = wire_waiting(connection->wire);

	if (connection->owes_pong && n_waiting <= PONG_WATER) {
		connection->owes_pong = false;
		ws_send_pong(connection, buffer_sv(&connection->pong));
		buffer_deinit(&connection->pong);
	}
	if (connection->congested && n_waiting <= WS_LOW_WATER) {
		connection->congested = false;
		if (connection->session) {
			connection->server->options.drained(connection->session);
		}
	}
}
