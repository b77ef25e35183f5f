/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/http/reader-state.h"

/* The exchange has no connection any more; what it still holds is freed later. */
static void finish(struct http_exchange *exchange)
{
	struct reader_connection *connection = exchange->connection;

	TAILQ_REMOVE(&connection->exchanges, exchange, next);
	connection->n_exchanges--;
	TAILQ_INSERT_TAIL(&connection->reader->finished, exchange, next);
}

void reader_connection_end(struct reader_connection *connection, enum reader_end how)
{
	struct http_reader *reader = connection->reader;
	struct wire *wire = connection->wire;
	struct http_exchange *exchange;

	if (!wire) {
		return;
	}
	connection->wire = NULL;
	LIST_REMOVE(connection, in_reader);
	LIST_INSERT_HEAD(&reader->dead, connection, in_reader);
	while ((exchange = TAILQ_FIRST(&connection->exchanges))) {
		finish(exchange);
		if (exchange->is_dispatched && !exchange->is_answered) {
			exchange->is_gone = true;
			reader->options.gone(reader->options.userdata, exchange);
		}
	}
	if (how != READER_END_TAKEN) {
		wire_set_user(wire, NULL, NULL);
	}
	if (how == READER_END_LINGER) {
		/* Answers whose turn has not come are never sent. The charge does not grow, so this
		 * cannot fail. */
		(void)!wire_set_kept(wire, 0);
		wire_linger(wire);
	} else if (how == READER_END_CLOSE) {
		wire_close(wire);
	}
}

void reader_connection_send(struct reader_connection *connection, struct buffer *head,
			    struct blob *body)
{
	struct sv text = buffer_sv(head);
	const struct iovec part = {(char *)text.data, text.n};

	if (wire_send_blob(connection->wire, &part, 1, body) < 0) {
		reader_connection_end(connection, READER_END_CLOSE);
	}
}

size_t reader_answer_size(const struct reader_answer *answer)
{
	return answer->head.size + (answer->body ? answer->body->n : 0);
}

static void send_early(struct http_exchange *exchange)
{
	struct reader_connection *connection = exchange->connection;
	struct reader_answer *early = exchange->early;

	exchange->early = NULL;
	connection->n_early -= reader_answer_size(early);
	/* The charge does not grow, so this cannot fail. */
	(void)!wire_set_kept(connection->wire, connection->n_early);
	reader_connection_send(connection, &early->head, early->body);
	buffer_deinit(&early->head);
	free(early);
}

void reader_connection_advance(struct reader_connection *connection)
{
	struct http_exchange *exchange;

	while (connection->wire && (exchange = TAILQ_FIRST(&connection->exchanges)) &&
	       exchange->is_answered) {
		if (exchange->early) {
			send_early(exchange);
		}
		if (!connection->wire) {
			return;
		}
		if (exchange->closes) {
			reader_connection_end(connection, READER_END_LINGER);
			return;
		}
		finish(exchange);
		if (connection->is_stalled) {
			connection->is_stalled = false;
			wire_wake(connection->wire);
		}
	}
	if (connection->wire && TAILQ_EMPTY(&connection->exchanges) && !connection->is_receiving) {
		unsigned idle_s = wire_idle(connection->wire);

		wire_set_deadline(connection->wire, idle_s ? idle_s : HTTP_IDLE_S);
	}
}

static void exchange_free(struct http_exchange *exchange)
{
	if (exchange->early) {
		buffer_deinit(&exchange->early->head);
		blob_unref(exchange->early->body);
		free(exchange->early);
	}
	free(exchange);
}

static void free_body(struct reader_connection *connection)
{
	if (connection->body) {
		http_gather_deinit(&connection->body->gather);
		free(connection->body);
		connection->body = NULL;
	}
}

void reader_reap(struct http_reader *reader)
{
	struct http_exchange *exchange;
	struct reader_connection *connection;

	/* Bodies refer to their exchanges, and those to their connections. */
	LIST_FOREACH(connection, &reader->dead, in_reader) {
		free_body(connection);
	}
	while ((exchange = TAILQ_FIRST(&reader->finished))) {
		TAILQ_REMOVE(&reader->finished, exchange, next);
		if (exchange->is_dispatched || exchange->is_prepared) {
			reader->options.done(reader->options.userdata, exchange);
		}
		exchange_free(exchange);
	}
	while ((connection = LIST_FIRST(&reader->dead))) {
		LIST_REMOVE(connection, in_reader);
		free(connection->head);
		free(connection);
	}
}

bool reader_connection_is_free(const struct reader_connection *connection)
{
	return TAILQ_EMPTY(&connection->exchanges) && !connection->body &&
	       wire_waiting(connection->wire) == 0;
}

static void on_pause_end(uv_timer_t *timer)
{
	struct http_reader *reader = CONTAINER_OF(timer, struct http_reader, pause);
	struct reader_connection *connection;

	LIST_FOREACH(connection, &reader->live, in_reader) {
		if (connection->is_paused) {
			connection->is_paused = false;
			wire_wake(connection->wire);
		}
	}
}

void reader_connection_pause(struct reader_connection *connection)
{
	struct http_reader *reader = connection->reader;

	connection->is_paused = true;
	if (!uv_is_active((uv_handle_t *)&reader->pause)) {
		uv_timer_start(&reader->pause, on_pause_end, HTTP_PAUSE_MS, 0);
	}
}

static bool may_be_given(const struct reader_connection *connection)
{
	return reader_connection_is_free(connection) && !connection->is_closing &&
	       wire_is_whole(connection->wire) && !wire_ssl(connection->wire);
}

void http_reader_give_idle(struct http_reader *reader,
			   bool (*take)(void *userdata, struct wire *wire))
{
	struct reader_connection *connection, *next;

	for (connection = LIST_FIRST(&reader->live); connection; connection = next) {
		next = LIST_NEXT(connection, in_reader);
		if (may_be_given(connection) && take(reader->options.userdata, connection->wire)) {
			reader_connection_end(connection, READER_END_TAKEN);
		}
	}
}
