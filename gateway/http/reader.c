/* SPDX-License-Identifier: MIT */
#include "gateway/http/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/http/reader-state.h"

/* Connections. */

int http_reader_adopt(struct http_reader *reader, struct wire *wire, bool is_first)
{
	struct reader_connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection) {
		return -ENOMEM;
	}
	wire_set_user(wire, &reader_wire_callbacks, connection);
	r = wire_join(wire, reader->options.hub);
	if (r < 0) {
		free(connection);
		return r;
	}
	connection->reader = reader;
	connection->wire = wire;
	connection->peer = *wire_peer(wire);
	connection->is_first = is_first;
	TAILQ_INIT(&connection->exchanges);
	LIST_INSERT_HEAD(&reader->live, connection, in_reader);
	wire_set_deadline(wire, reader->options.limits.timeout_s);
	if (!is_first) {
		/* It was given away with a request: without this, that would wait for the next
		 * iteration of the loop. */
		wire_wake(wire);
	}
	return 0;
}

bool http_reader_is_busy(const struct http_reader *reader)
{
	struct reader_connection *connection;

	if (!reader) {
		return false;
	}
	LIST_FOREACH(connection, &reader->live, in_reader) {
		if (connection->n_exchanges || connection->is_receiving || connection->is_paused ||
		    wire_waiting(connection->wire)) {
			return true;
		}
	}
	return false;
}

static void on_reap(uv_check_t *check)
{
	reader_reap(CONTAINER_OF(check, struct http_reader, reap));
}

int http_reader_new(const struct http_options *options,
		    const struct http_reader_callbacks *callbacks, struct http_reader **ret_reader)
{
	struct http_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		return -ENOMEM;
	}
	reader->options = *options;
	reader->callbacks = callbacks;
	TAILQ_INIT(&reader->finished);
	uv_check_init(options->loop, &reader->reap);
	uv_check_start(&reader->reap, on_reap);
	uv_timer_init(options->loop, &reader->pause);
	reader->n_handles = 2;
	reader->reap.data = reader->pause.data = reader;
	*ret_reader = reader;
	return 0;
}

void http_reader_reload(struct http_reader *reader, const struct http_limits *limits)
{
	reader->options.limits = *limits;
}

static void on_closed(uv_handle_t *handle)
{
	struct http_reader *reader = handle->data;

	if (--reader->n_handles == 0) {
		buffer_deinit(&reader->scratch);
		free(reader);
	}
}

struct http_reader *http_reader_free(struct http_reader *reader)
{
	struct reader_connection *connection;

	if (!reader) {
		return NULL;
	}
	reader->is_closing = true;
	while ((connection = LIST_FIRST(&reader->live))) {
		reader_connection_end(connection, READER_END_LINGER);
	}
	reader_reap(reader);
	uv_close((uv_handle_t *)&reader->reap, on_closed);
	uv_close((uv_handle_t *)&reader->pause, on_closed);
	return NULL;
}
