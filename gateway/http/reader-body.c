/* SPDX-License-Identifier: MIT */
/* Bodies that do not arrive with their heads, or not as they are passed on: in chunks (RFC 9112,
 * 7.1), in a content coding, or after a 100 (RFC 9110, 15.2.1). */
#include <stdlib.h>

#include "gateway/http/reader-state.h"

enum {
	PIECE = 64 * 1024,
};

static enum reader_step give_up(struct reader_connection *connection)
{
	reader_connection_end(connection, READER_END_CLOSE);
	return READER_STEP_OVER;
}

void reader_begin_receiving(struct reader_connection *connection)
{
	if (!connection->is_receiving) {
		connection->is_receiving = true;
		if (connection->has_served) {
			wire_set_deadline(connection->wire,
					  connection->reader->options.limits.timeout_s);
		}
	}
}

enum wire_result reader_look(struct reader_connection *connection, struct sv *ret_bytes)
{
	const struct http_reader *reader = connection->reader;
	bool fetches = connection->has_served && !reader->options.passes(reader->options.userdata);

	return fetches ? wire_fetch(connection->wire, WIRE_PEEK_MAX, ret_bytes)
		       : wire_peek(connection->wire, WIRE_PEEK_MAX, ret_bytes);
}

/* Passes the request on when it is prepared; its body is whole, or is given up because it is too
 * large. */
static enum reader_step end_body(struct reader_connection *connection)
{
	struct reader_body *body = connection->body;
	struct http_exchange *exchange = body->exchange;

	if (!body->is_whole && http_gather_decode(&body->gather) < 0) {
		return give_up(connection);
	}
	body->is_whole = true;
	exchange->body = http_gather_body(&body->gather);
	if (!reader_exchange_prepare(exchange)) {
		/* The client has done its part in time. */
		connection->is_receiving = false;
		wire_set_deadline(connection->wire, 0);
		/* Many can wait for their turns. */
		return http_gather_charge(&body->gather) < 0 ? give_up(connection) : READER_STEP_ON;
	}
	connection->body = NULL;
	reader_exchange_dispatch(exchange);
	http_gather_deinit(&body->gather);
	free(body);
	return connection->wire ? READER_STEP_ON : READER_STEP_OVER;
}

static enum reader_step over(const struct reader_connection *connection)
{
	return connection->wire ? READER_STEP_WAIT : READER_STEP_OVER;
}

/* Adds a piece of the body. Returns false if the request is over: it was passed on because it is
 * too large, cut off (gather.h), or the connection has ended. */
static bool add(struct reader_connection *connection, struct sv piece)
{
	struct http_exchange *exchange = connection->body->exchange;

	if (http_gather_add(&connection->body->gather, piece.data, piece.n)) {
		return !exchange->is_answered;
	}
	if (exchange->is_too_large) {
		/* The rest of it is discarded after the answer, as far as that goes. */
		exchange->closes = connection->is_closing = true;
		(void)end_body(connection);
	} else {
		(void)give_up(connection);
	}
	return false;
}

/* Returns false if the request is over, as add() does. */
static bool keep(struct reader_connection *connection, const char *data, size_t n, bool in_place)
{
	if (!in_place) {
		return add(connection, (struct sv){data, n});
	}
	if (http_gather_filled(&connection->body->gather, n) < 0) {
		(void)give_up(connection);
		return false;
	}
	return !connection->body->exchange->is_answered;
}

static enum reader_step read_length(struct reader_connection *connection)
{
	struct reader_body *body = connection->body;
	char piece[PIECE];
	size_t n_most = wire_portion(connection->wire), n_room = 0, n = 0;
	char *room = http_gather_room(&body->gather, &n_room);
	char *data = room ? room : piece;

	if (!room) {
		n_room = body->n_left < PIECE ? (size_t)body->n_left : PIECE;
	}
	switch (wire_read(connection->wire, data, n_room < n_most ? n_room : n_most, &n)) {
	case WIRE_OK:
		break;
	case WIRE_AGAIN:
		return READER_STEP_WAIT;
	default:
		return give_up(connection);
	}
	body->n_left -= n;
	if (!keep(connection, data, n, room)) {
		return over(connection);
	}
	return body->n_left ? READER_STEP_ON : end_body(connection);
}

/* Reads the chunks in @bytes, which have not been consumed. */
static enum reader_step read_chunks(struct reader_connection *connection, struct sv bytes)
{
	struct reader_body *body = connection->body;
	enum chunks_result result;
	struct sv rest, piece;

	/* A chunk may have one byte: 32 KB of those would take half a millisecond. */
	bytes = sv_first(bytes, wire_portion(connection->wire));
	rest = bytes;
	while ((result = chunks_feed(&body->chunks, &rest, &piece)) == CHUNKS_FOUND) {
		if (!add(connection, piece)) {
			return over(connection);
		}
	}
	wire_take(connection->wire, bytes.n - rest.n);
	switch (result) {
	case CHUNKS_DONE:
		return end_body(connection);
	case CHUNKS_FAULT:
		reader_exchange_refuse(body->exchange, HTTP_FAULT_CHUNK);
		return over(connection);
	default:
		return READER_STEP_ON;
	}
}

enum reader_step reader_body_read(struct reader_connection *connection)
{
	struct reader_body *body = connection->body;
	struct sv bytes;

	if (body->exchange->is_answered) {
		/* It is given up, and its answer waits for those before it. */
		return READER_STEP_WAIT;
	}
	if (body->is_whole) {
		return end_body(connection);
	}
	if (!body->head.is_chunked) {
		return read_length(connection);
	}
	switch (reader_look(connection, &bytes)) {
	case WIRE_OK:
		return read_chunks(connection, bytes);
	case WIRE_AGAIN:
		return READER_STEP_WAIT;
	default:
		return give_up(connection);
	}
}

int http_reader_tell_to_continue(struct wire *wire)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct iovec part = {text, sizeof(text) - 1};

	return wire_send(wire, &part, 1);
}

/* Returns NULL if out of memory. */
static struct reader_body *body_new(struct http_exchange *exchange, const struct http_head *head,
				    struct sv bytes)
{
	struct reader_body *body = calloc(1, sizeof(*body));

	if (!body) {
		return NULL;
	}
	exchange->connection->body = body;
	body->head = *head;
	body->exchange = exchange;
	body->n_left = head->n_body;
	http_gather_init(&body->gather, exchange, reader_exchange_cut);
	body->gather.n_announced = (size_t)head->n_body;
	if (http_gather_begin(&body->gather, sv_first(bytes, head->n)) < 0) {
		return NULL;
	}
	exchange->head = &body->head;
	exchange->gather = &body->gather;
	exchange->bytes = NULL;
	return body;
}

enum reader_step reader_body_begin(struct http_exchange *exchange, const struct http_head *head,
				   struct sv bytes)
{
	struct reader_connection *connection = exchange->connection;
	struct sv rest = sv_skip(bytes, head->n);
	struct reader_body *body = body_new(exchange, head, bytes);

	if (!body || (head->expects_continue && rest.n == 0 &&
		      http_reader_tell_to_continue(connection->wire) < 0)) {
		return give_up(connection);
	}
	reader_begin_receiving(connection);
	wire_take(connection->wire, head->n);
	if (body->head.is_chunked) {
		return rest.n ? read_chunks(connection, rest) : READER_STEP_ON;
	}
	rest = sv_first(rest, (size_t)body->n_left);
	wire_take(connection->wire, rest.n);
	body->n_left -= rest.n;
	if (rest.n && !add(connection, rest)) {
		return over(connection);
	}
	return body->n_left ? READER_STEP_ON : end_body(connection);
}
