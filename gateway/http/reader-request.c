/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/http/beginning.h"
#include "gateway/http/reader-state.h"

enum {
	/* Steps that a connection gets at a time, so that a client that sends as fast as it is read
	 * does not occupy the worker. */
	STEPS_MAX = 8,
	CHUNK = 64 * 1024,
};

/* What follows after a part of a connection's bytes was read. */
enum step {
	STEP_ON,   /* read on */
	STEP_WAIT, /* until something happens */
	STEP_OVER, /* the connection has ended */
};

static enum step end(struct reader_connection *connection, enum reader_end how)
{
	reader_connection_end(connection, how);
	return STEP_OVER;
}

/* Until the request is complete, the connection has header_timeout, a new one from the beginning
 * on. */
static void begin_receiving(struct reader_connection *connection)
{
	if (!connection->receiving) {
		connection->receiving = true;
		if (connection->served) {
			wire_set_deadline(connection->wire,
					  connection->reader->options.limits.timeout_s);
		}
	}
}

static enum step refuse(struct reader_connection *connection, const struct http_head *head,
			const char *bytes, enum http_fault fault)
{
	struct reader_exchange *exchange = reader_exchange_new(connection, head, bytes);

	if (!exchange) {
		return end(connection, READER_END_CLOSE);
	}
	reader_exchange_refuse(exchange, fault);
	return connection->wire ? STEP_WAIT : STEP_OVER;
}

/* Bodies. */

static enum step end_body(struct reader_connection *connection)
{
	struct reader_body *body = connection->body;

	connection->body = NULL;
	body->exchange->base.body = http_gather_body(&body->gather);
	reader_exchange_dispatch(body->exchange);
	http_gather_deinit(&body->gather);
	free(body);
	return connection->wire ? STEP_ON : STEP_OVER;
}

static enum step read_body(struct reader_connection *connection)
{
	struct reader_body *body = connection->body;
	char chunk[CHUNK];
	size_t n;

	if (body->exchange->base.answered) {
		/* It is given up, and its answer waits for those before it. */
		return STEP_WAIT;
	}
	switch (wire_read(connection->wire, chunk,
			  body->n_left < CHUNK ? (size_t)body->n_left : CHUNK, &n)) {
	case WIRE_OK:
		break;
	case WIRE_AGAIN:
		return STEP_WAIT;
	default:
		return end(connection, READER_END_CLOSE);
	}
	body->n_left -= n;
	if (!http_gather_add(&body->gather, chunk, n)) {
		if (!body->exchange->base.too_large) {
			return end(connection, READER_END_CLOSE);
		}
		/* The rest of it is discarded after the answer, as far as that goes. */
		body->exchange->closes = true;
		return end_body(connection);
	}
	return body->n_left ? STEP_ON : end_body(connection);
}

/* Consumes what has arrived of a request; its body has not arrived whole. */
static enum step begin_body(struct reader_exchange *exchange, const struct http_head *head,
			    struct sv bytes)
{
	struct reader_connection *connection = exchange->connection;
	struct reader_body *body = calloc(1, sizeof(*body));
	struct sv rest = sv_skip(bytes, head->n);

	if (!body) {
		return end(connection, READER_END_CLOSE);
	}
	connection->body = body;
	body->head = *head;
	body->exchange = exchange;
	body->n_left = head->n_body - rest.n;
	http_gather_init(&body->gather, &exchange->base);
	if (buffer_append_sv(&body->gather.bytes, sv_first(bytes, head->n)) < 0) {
		return end(connection, READER_END_CLOSE);
	}
	body->gather.n_head = head->n;
	body->gather.n_announced = (size_t)head->n_body;
	exchange->head = &body->head;
	exchange->gather = &body->gather;
	exchange->bytes = NULL;
	if (!http_gather_add(&body->gather, rest.data, rest.n)) {
		return end(connection, READER_END_CLOSE);
	}
	begin_receiving(connection);
	wire_take(connection->wire, bytes.n);
	return STEP_ON;
}

/* Heads. */

static bool is_plain(const struct http_head *head, const char *bytes)
{
	return !head->is_chunked && !head->is_escaped && !head->n_known[HTTP_KNOWN_EXPECT] &&
	       http_head_coding(head, bytes) == CODING_IDENTITY;
}

/* Serves a plain request. Nothing of it has been consumed yet. */
static enum step serve(struct reader_connection *connection, const struct http_head *head,
		       struct sv bytes)
{
	const struct http_options *options = &connection->reader->options;
	struct reader_exchange *exchange = reader_exchange_new(connection, head, bytes.data);
	struct sv rest = sv_skip(bytes, head->n);
	bool is_hopeless = http_gather_is_hopeless(options, head->n_body);
	size_t n = head->n;

	if (!exchange) {
		return end(connection, READER_END_CLOSE);
	}
	if (!is_hopeless && head->n_body > rest.n) {
		return begin_body(exchange, head, bytes);
	}
	exchange->base.too_large = head->n_body > options->limits.n_body_max;
	if (is_hopeless) {
		exchange->closes = connection->closing = true;
	} else {
		n += (size_t)head->n_body;
		exchange->base.body = sv_first(
			rest, exchange->base.too_large ? HTTP_KEEP_LARGE : (size_t)head->n_body);
	}
	wire_take(connection->wire, n);
	reader_exchange_dispatch(exchange);
	if (!connection->wire) {
		return STEP_OVER;
	}
	/* Fewer bytes than were asked for: there are no more now. */
	return bytes.n > n || bytes.n == WIRE_PEEK_MAX ? STEP_ON : STEP_WAIT;
}

static enum step stall(struct reader_connection *connection)
{
	if (connection->n_exchanges) {
		connection->receiving = false;
		wire_set_deadline(connection->wire, 0);
	}
	connection->stalled = true;
	return STEP_WAIT;
}

static enum step postpone(struct reader_connection *connection, const struct http_head *head,
			  struct sv bytes)
{
	if (connection->n_pauses == HTTP_PAUSES_MAX) {
		return refuse(connection, head, bytes.data, HTTP_FAULT_NOT_TAKEN);
	}
	connection->n_pauses++;
	connection->receiving = false;
	wire_set_deadline(connection->wire, 0);
	reader_connection_pause(connection);
	return STEP_WAIT;
}

/* It was not the client who was slow. */
static void end_pauses(struct reader_connection *connection)
{
	if (connection->n_pauses) {
		connection->n_pauses = 0;
		wire_set_deadline(connection->wire, connection->reader->options.limits.timeout_s);
	}
}

static enum step ask_first(struct reader_connection *connection, const struct http_head *head,
			   struct sv bytes)
{
	struct http_reader *reader = connection->reader;
	enum http_first first =
		reader->callbacks->first(reader->options.userdata, connection->wire, head, bytes,
					 reader_connection_is_free(connection));

	if (first == HTTP_FIRST_TAKEN) {
		return end(connection, READER_END_TAKEN);
	}
	connection->is_first = first == HTTP_FIRST_MORE || first == HTTP_FIRST_PAUSE;
	connection->is_last = first == HTTP_FIRST_LAST;
	if (first == HTTP_FIRST_PAUSE) {
		return postpone(connection, head, bytes);
	}
	end_pauses(connection);
	if (first == HTTP_FIRST_LATER) {
		/* Read anew then: while it waits, it is not late. */
		return stall(connection);
	}
	return first == HTTP_FIRST_MORE ? STEP_WAIT : STEP_ON;
}

/* Gives the connection away, with a request that is not plain. */
static enum step give(struct reader_connection *connection, const struct http_head *head,
		      struct sv bytes)
{
	struct http_reader *reader = connection->reader;
	struct wire *wire = connection->wire;

	wire_set_deadline(wire, 0);
	if (!reader->callbacks->other(reader->options.userdata, wire, head->n)) {
		return refuse(connection, head, bytes.data, HTTP_FAULT_BUSY);
	}
	return end(connection, READER_END_TAKEN);
}

/* The head of a request is complete. */
static enum step begin_request(struct reader_connection *connection, const struct http_head *head,
			       struct sv bytes)
{
	const struct http_reader *reader = connection->reader;
	bool others = connection->n_exchanges > 0;

	if (reader->callbacks->asks_always(reader->options.userdata)) {
		connection->is_first = true;
	}
	/* One that is too large is refused here: the callee may wait for more of it. */
	if (connection->is_first && !http_gather_is_hopeless(&reader->options, head->n_body)) {
		enum step step = ask_first(connection, head, bytes);

		if (step != STEP_ON) {
			return step;
		}
	}
	if (!is_plain(head, bytes.data)) {
		if (others) {
			return stall(connection);
		}
		return give(connection, head, bytes);
	}
	if (others && head->n_known[HTTP_KNOWN_UPGRADE]) {
		return stall(connection);
	}
	return serve(connection, head, bytes);
}

static enum step on_fault(struct reader_connection *connection, const struct http_head *head,
			  struct sv bytes)
{
	struct http_reader *reader = connection->reader;
	struct wire *wire = connection->wire;

	if (head->fault != HTTP_FAULT_ALIEN) {
		return refuse(connection, head, bytes.data, head->fault);
	}
	if (connection->served) {
		return refuse(connection, head, bytes.data, HTTP_FAULT_METHOD);
	}
	reader_connection_end(connection, READER_END_GIVEN);
	wire_set_deadline(wire, 0);
	reader->callbacks->alien(reader->options.userdata, wire, head->alien);
	return STEP_OVER;
}

/* Keeps a head that is incomplete, or whose request has to wait. */
static enum step keep_head(struct reader_connection *connection, const struct http_head *head)
{
	begin_receiving(connection);
	if (!connection->head) {
		connection->head = malloc(sizeof(*head));
		if (!connection->head) {
			return end(connection, READER_END_CLOSE);
		}
		*connection->head = *head;
	}
	return STEP_WAIT;
}

static enum step judge(struct reader_connection *connection, struct sv bytes)
{
	struct http_reader *reader = connection->reader;
	struct http_head *kept = connection->head;
	struct http_head *head = kept ? kept : &reader->head;
	enum step step;

	if (!kept) {
		*head = (struct http_head){0};
	}
	switch (head->n ? HTTP_HEAD_DONE : http_head_feed(head, bytes)) {
	case HTTP_HEAD_MORE:
		return keep_head(connection, head);
	case HTTP_HEAD_FAULT:
		return on_fault(connection, head, bytes);
	default:
		break;
	}
	connection->head = NULL;
	step = begin_request(connection, head, bytes);
	/* What is paused or stalled is read anew then: while it waits, it is not late. */
	if (step == STEP_WAIT && connection->wire && connection->is_first && !connection->paused) {
		connection->head = kept;
		return keep_head(connection, head);
	}
	free(kept);
	return step;
}

static enum wire_result look(struct reader_connection *connection, struct sv *ret_bytes)
{
	const struct http_reader *reader = connection->reader;
	bool fetches = connection->served && !reader->options.passes(reader->options.userdata);

	return fetches ? wire_fetch(connection->wire, WIRE_PEEK_MAX, ret_bytes)
		       : wire_peek(connection->wire, WIRE_PEEK_MAX, ret_bytes);
}

static enum step read_head(struct reader_connection *connection)
{
	struct sv bytes;

	if (connection->closing) {
		return STEP_WAIT;
	}
	if (connection->n_exchanges >= HTTP_PIPELINE_MAX ||
	    wire_waiting(connection->wire) > HTTP_WAITING_MAX) {
		return stall(connection);
	}
	switch (look(connection, &bytes)) {
	case WIRE_OK:
		return judge(connection, bytes);
	case WIRE_AGAIN:
		return STEP_WAIT;
	default:
		return end(connection, READER_END_LINGER);
	}
}

/* Events of the wire. */

static void on_ready(void *user)
{
	struct reader_connection *connection = user;
	enum step step = STEP_ON;

	if (connection->paused && !wire_is_hung_up(connection->wire)) {
		return;
	}
	for (int i = 0; step == STEP_ON && i < STEPS_MAX; i++) {
		step = connection->body ? read_body(connection) : read_head(connection);
	}
	if (!connection->wire) {
		return;
	}
	if (step == STEP_ON) {
		wire_wake(connection->wire);
	} else if (wire_is_hung_up(connection->wire)) {
		/* Nobody waits for what is held. */
		reader_connection_end(connection, READER_END_LINGER);
	}
}

static void on_written(void *user)
{
	struct reader_connection *connection = user;

	if (!connection->n_exchanges && !connection->receiving) {
		/* A slow link must get the whole answer. */
		wire_set_deadline(connection->wire, HTTP_IDLE_S);
	}
	if (connection->stalled && wire_waiting(connection->wire) <= HTTP_WAITING_MAX) {
		connection->stalled = false;
		wire_wake(connection->wire);
	}
}

/* The deadline has passed: the client has sent nothing, or only a part of a request. */
static void on_late(void *user)
{
	struct reader_connection *connection = user;
	struct sv bytes;

	if (connection->body) {
		reader_exchange_refuse(connection->body->exchange, HTTP_FAULT_LATE);
	} else if (connection->head &&
		   wire_peek(connection->wire, WIRE_PEEK_MAX, &bytes) == WIRE_OK) {
		refuse(connection, connection->head, bytes.data, HTTP_FAULT_LATE);
	} else if (!connection->n_exchanges) {
		/* One that has read nothing for so long will not read the rest. */
		reader_connection_end(connection, wire_waiting(connection->wire)
							  ? READER_END_CLOSE
							  : READER_END_LINGER);
	}
}

const struct wire_callbacks reader_wire_callbacks = {
	.ready = on_ready,
	.written = on_written,
	.late = on_late,
};
