/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/http/reader-state.h"

enum {
	/* Steps that a connection gets at a time, so that a client that sends as fast as it is read
	 * does not occupy the worker. */
	STEPS_MAX = 8,
};

static enum reader_step end(struct reader_connection *connection, enum reader_end how)
{
	reader_connection_end(connection, how);
	return READER_STEP_OVER;
}

static enum reader_step refuse(struct reader_connection *connection, const struct http_head *head,
			       const char *bytes, enum http_fault fault)
{
	struct http_exchange *exchange = reader_exchange_new(connection, head, bytes);

	if (!exchange) {
		return end(connection, READER_END_CLOSE);
	}
	reader_exchange_refuse(exchange, fault);
	return connection->wire ? READER_STEP_WAIT : READER_STEP_OVER;
}

/* Heads. */

/* Whether the body stands in @bytes as it is passed on. */
static bool is_at_hand(const struct http_exchange *exchange, const struct http_head *head,
		       struct sv bytes)
{
	return !head->is_chunked && exchange->coding != CODING_GZIP &&
	       exchange->coding != CODING_DEFLATE && head->n_body <= bytes.n - head->n;
}

/* Whether the body is to be read in portions. */
static bool is_portioned(const struct reader_connection *connection, const struct http_head *head)
{
	return head->n_body > WIRE_PORTION_SMALL && head->n_body > wire_portion(connection->wire);
}

/* Whether the body is so large that none of it is read: it would not be read to its end, or its
 * client waits to be told whether to send it. */
static bool is_hopeless(const struct http_options *options, const struct http_head *head,
			struct sv bytes)
{
	return http_gather_is_hopeless(options, head->n_body) ||
	       (head->expects_continue && head->n_body > options->limits.n_body_max &&
		bytes.n == head->n);
}

/* Serves a request. Nothing of it has been consumed yet. */
static enum reader_step serve(struct reader_connection *connection, const struct http_head *head,
			      struct sv bytes)
{
	const struct http_options *options = &connection->reader->options;
	struct http_exchange *exchange = reader_exchange_new(connection, head, bytes.data);
	struct sv rest = sv_skip(bytes, head->n);
	bool hopeless = is_hopeless(options, head, bytes);
	size_t n = head->n;

	if (!exchange) {
		return end(connection, READER_END_CLOSE);
	}
	if (!hopeless && (is_portioned(connection, head) || !is_at_hand(exchange, head, bytes))) {
		return reader_body_begin(exchange, head, bytes);
	}
	exchange->is_too_large = head->n_body > options->limits.n_body_max;
	if (hopeless) {
		exchange->closes = connection->is_closing = true;
	} else {
		n += (size_t)head->n_body;
		exchange->body = sv_first(rest, exchange->is_too_large ? HTTP_KEEP_LARGE
								       : (size_t)head->n_body);
	}
	wire_take(connection->wire, n);
	reader_exchange_dispatch(exchange);
	if (!connection->wire) {
		return READER_STEP_OVER;
	}
	/* Fewer bytes than were asked for: there are no more now. */
	return bytes.n > n || bytes.n == WIRE_PEEK_MAX ? READER_STEP_ON : READER_STEP_WAIT;
}

/* Where no request is held, it waits for a client that has to read what was answered. */
static enum reader_step stall(struct reader_connection *connection)
{
	/* Once: what the client sends meanwhile must not renew its time. */
	if (!connection->is_stalled) {
		connection->is_receiving = false;
		wire_set_deadline(connection->wire, connection->n_exchanges ? 0 : HTTP_IDLE_S);
		connection->is_stalled = true;
	}
	return READER_STEP_WAIT;
}

static enum reader_step postpone(struct reader_connection *connection, const struct http_head *head,
				 struct sv bytes)
{
	if (connection->n_pauses == HTTP_PAUSES_MAX) {
		return refuse(connection, head, bytes.data, HTTP_FAULT_NOT_TAKEN);
	}
	connection->n_pauses++;
	connection->is_receiving = false;
	wire_set_deadline(connection->wire, 0);
	reader_connection_pause(connection);
	return READER_STEP_WAIT;
}

/* The client gets its time anew, because the pauses were not its fault. */
static void end_pauses(struct reader_connection *connection)
{
	if (connection->n_pauses) {
		connection->n_pauses = 0;
		wire_set_deadline(connection->wire, connection->reader->options.limits.timeout_s);
	}
}

static enum reader_step ask_first(struct reader_connection *connection,
				  const struct http_head *head, struct sv bytes)
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
	return first == HTTP_FIRST_MORE ? READER_STEP_WAIT : READER_STEP_ON;
}

/* The head of a request is complete. */
static enum reader_step begin_request(struct reader_connection *connection,
				      const struct http_head *head, struct sv bytes)
{
	const struct http_reader *reader = connection->reader;
	bool has_others = connection->n_exchanges > 0;

	if (reader->callbacks->asks_always(reader->options.userdata)) {
		connection->is_first = true;
	}
	if (http_gather_is_hopeless(&reader->options, head->n_body)) {
		/* It is refused here: the callee may wait for more of it. */
		connection->is_first = false;
	} else if (connection->is_first) {
		enum reader_step step = ask_first(connection, head, bytes);

		if (step != READER_STEP_ON) {
			return step;
		}
	}
	/* What is sent ahead of an answer must not come ahead of those before it. */
	if (has_others && (head->n_known[HTTP_KNOWN_UPGRADE] || head->expects_continue)) {
		return stall(connection);
	}
	return serve(connection, head, bytes);
}

static enum reader_step on_fault(struct reader_connection *connection, const struct http_head *head,
				 struct sv bytes)
{
	struct http_reader *reader = connection->reader;
	struct wire *wire = connection->wire;

	if (head->fault != HTTP_FAULT_ALIEN) {
		return refuse(connection, head, bytes.data, head->fault);
	}
	if (connection->has_served) {
		return refuse(connection, head, bytes.data, HTTP_FAULT_METHOD);
	}
	reader_connection_end(connection, READER_END_GIVEN);
	wire_set_deadline(wire, 0);
	reader->callbacks->alien(reader->options.userdata, wire, head->alien);
	return READER_STEP_OVER;
}

/* Keeps a head that is incomplete, or whose request has to wait. */
static enum reader_step keep_head(struct reader_connection *connection,
				  const struct http_head *head)
{
	reader_begin_receiving(connection);
	if (!connection->head) {
		connection->head = malloc(sizeof(*head));
		if (!connection->head) {
			return end(connection, READER_END_CLOSE);
		}
		*connection->head = *head;
	}
	return READER_STEP_WAIT;
}

static enum reader_step judge(struct reader_connection *connection, struct sv bytes)
{
	struct http_reader *reader = connection->reader;
	struct http_head *kept = connection->head;
	struct http_head *head = kept ? kept : &reader->head;
	enum reader_step step;

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
	if (step == READER_STEP_WAIT && connection->wire && connection->is_first &&
	    !connection->is_paused) {
		connection->head = kept;
		return keep_head(connection, head);
	}
	free(kept);
	return step;
}

static enum reader_step read_head(struct reader_connection *connection)
{
	struct sv bytes;

	if (connection->is_closing) {
		return READER_STEP_WAIT;
	}
	if (connection->n_exchanges >= HTTP_PIPELINE_MAX ||
	    wire_waiting(connection->wire) > HTTP_WAITING_MAX) {
		return stall(connection);
	}
	switch (reader_look(connection, &bytes)) {
	case WIRE_OK:
		return judge(connection, bytes);
	case WIRE_AGAIN:
		return READER_STEP_WAIT;
	default:
		return end(connection, READER_END_LINGER);
	}
}

/* Events of the wire. */

/* Of a client that takes more than its share, one: each may be a portion of a body. */
static int steps_of(const struct reader_connection *connection)
{
	return wire_portion(connection->wire) == WIRE_PORTION_SMALL ? 1 : STEPS_MAX;
}

static void on_ready(void *user)
{
	struct reader_connection *connection = user;
	enum reader_step step = READER_STEP_ON;

	if (connection->is_paused && !wire_is_hung_up(connection->wire)) {
		return;
	}
	for (int n = steps_of(connection); step == READER_STEP_ON && n > 0; n--) {
		step = connection->body ? reader_body_read(connection) : read_head(connection);
		if (connection->body && connection->body->is_whole) {
			/* A portion of it was read. The next one is for the next turn. */
			break;
		}
	}
	if (!connection->wire) {
		return;
	}
	if (step == READER_STEP_ON) {
		wire_wake(connection->wire);
	} else if (wire_is_hung_up(connection->wire)) {
		/* Nobody waits for what is held. */
		reader_connection_end(connection, READER_END_LINGER);
	}
}

static void on_written(void *user)
{
	struct reader_connection *connection = user;

	if (!connection->n_exchanges && !connection->is_receiving) {
		/* A slow link must get the whole answer. */
		wire_set_deadline(connection->wire, HTTP_IDLE_S);
	}
	if (connection->is_stalled && wire_waiting(connection->wire) <= HTTP_WAITING_MAX) {
		connection->is_stalled = false;
		wire_wake(connection->wire);
	}
}

/* The deadline has passed: the client has sent nothing, or only a part of a request. */
static void on_late(void *user)
{
	struct reader_connection *connection = user;
	struct sv bytes;

	/* What has been refused is still there while its answer waits for those before it. */
	if (connection->body) {
		if (!connection->body->exchange->is_answered) {
			reader_exchange_refuse(connection->body->exchange, HTTP_FAULT_LATE);
		}
	} else if (connection->head && !connection->is_closing && !connection->is_stalled &&
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
