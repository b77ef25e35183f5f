/* SPDX-License-Identifier: MIT */
#include "common/utf8.h"
#include "gateway/ws/server-state.h"

enum {
	STATUS_SIZE = 2,
	/* While more than this waits, pongs do not join it: a client that sends pings and does not
	 * read could otherwise fill the memory. RFC 6455, 5.5.3, wants the last one answered. */
	PONG_WATER = 16 * 1024,
	/* When more than this was queued and is sent, the session holds less than before by more
	 * than the steps in which it is charged (policy/budget.h). */
	QUEUE_WATER = 4096,
};

/* Returns 0 or -ENOMEM: nothing of the frame is sent. */
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

	return wire_send_later(connection->wire, parts, ARRAY_LENGTH(parts));
}

/* The close frame without memory: WS_CLOSE_INTERNAL. There is room for it in a queue that is not
 * empty, and otherwise it is sent at once. */
static void send_last_words(struct ws_connection *connection)
{
	/* Final, and not masked: FRAME_CLOSE with two bytes, WS_CLOSE_INTERNAL. */
	static const unsigned char frame[WIRE_SPARE] = {0x88, 0x02, 0x03, 0xf3};
	const struct iovec part = {(unsigned char *)frame, sizeof(frame)};

	if (wire_send(connection->wire, &part, 1) < 0) {
		connection->is_lost = true;
		wire_wake(connection->wire);
	}
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
	size_t n = text.n + rest.n;
	struct sv coded;
	int r;

	if (connection->has_sent_close) {
		return 0;
	}
	if (wire_waiting(connection->wire) == 0) {
		connection->n_saved = 0;
	}
	if (is_worth_coding(connection, n) && compress(connection, text, rest, &coded)) {
		frame.is_coded = true;
		r = send_frame(connection, frame, coded, SV_EMPTY);
		connection->n_saved += n - coded.n;
	} else {
		r = send_frame(connection, frame, text, rest);
	}
	size_t n_waiting = wire_waiting(connection->wire);

	connection->has_queued = connection->has_queued || n_waiting > QUEUE_WATER;
	if (n_waiting && n_waiting + connection->n_saved > WS_HIGH_WATER) {
		connection->is_congested = true;
	}
	return r;
}

static void starve(struct ws_connection *connection)
{
	connection->is_starved = true;
	wire_wake(connection->wire);
}

void ws_send_control(struct ws_connection *connection, enum frame_opcode opcode, struct sv payload)
{
	if (send_frame(connection, (struct frame_head){.opcode = opcode}, payload, SV_EMPTY) < 0) {
		starve(connection);
	}
}

void ws_send_pong(struct ws_connection *connection, struct sv payload)
{
	if (connection->has_sent_close) {
		return;
	}
	if (wire_waiting(connection->wire) <= PONG_WATER) {
		ws_send_control(connection, FRAME_PONG, payload);
		return;
	}
	buffer_clear(&connection->pong);
	connection->owes_pong = buffer_append_sv(&connection->pong, payload) == 0;
	if (!connection->owes_pong) {
		starve(connection);
	}
}

void ws_send_close(struct ws_connection *connection, unsigned status, struct sv reason)
{
	char payload[STATUS_SIZE + WS_REASON_MAX] = {(char)(status >> 8), (char)status};

	if (connection->has_sent_close) {
		return;
	}
	reason = utf8_cut(reason, WS_REASON_MAX);
	if (reason.n) {
		memcpy(payload + STATUS_SIZE, reason.data, reason.n);
	}
	if (send_frame(connection, (struct frame_head){.opcode = FRAME_CLOSE},
		       (struct sv){payload, STATUS_SIZE + reason.n}, SV_EMPTY) < 0) {
		send_last_words(connection);
	}
	connection->has_sent_close = true;
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

void ws_cut(struct ws_connection *connection)
{
	connection->is_lost = true;
	wire_wake(connection->wire);
}

bool ws_is_congested(const struct ws_connection *connection)
{
	return connection->is_congested;
}

bool ws_is_waiting(const struct ws_connection *connection)
{
	return wire_waiting(connection->wire);
}

void ws_return_unsent(struct ws_connection *connection)
{
	connection->returns_unsent = true;
}

size_t ws_held(const struct ws_connection *connection)
{
	return wire_held(connection->wire) + connection->held.size + connection->coded.size +
	       connection->plain.size + connection->pong.size + frames_held(&connection->frames);
}

void ws_on_written(struct ws_connection *connection)
{
	size_t n_waiting = wire_waiting(connection->wire);

	if (connection->owes_pong && n_waiting <= PONG_WATER) {
		connection->owes_pong = false;
		ws_send_pong(connection, buffer_sv(&connection->pong));
		buffer_deinit(&connection->pong);
	}
	if (connection->is_congested &&
	    (n_waiting == 0 || (n_waiting <= WS_LOW_WATER && connection->n_saved == 0))) {
		connection->is_congested = false;
		if (connection->session) {
			connection->server->options.drained(connection->session);
		}
	}
	if (n_waiting == 0 && connection->has_queued && connection->session) {
		connection->has_queued = false;
		connection->server->options.held(connection->session);
	}
	if (connection->returns_unsent && n_waiting == 0) {
		connection->returns_unsent = false;
		connection->server->options.emptied(connection->session);
	}
}
