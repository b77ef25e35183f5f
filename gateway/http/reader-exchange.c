/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "gateway/http/beginning.h"
#include "gateway/http/reader-state.h"
#include "policy/origin.h"

/* The bytes may have moved. */
static void locate(struct http_exchange *exchange)
{
	const char *bytes = reader_exchange_bytes(exchange);

	exchange->method = http_span_sv(exchange->head->method, bytes);
	exchange->path = exchange->head->is_escaped
			       ? (struct sv){exchange->text + exchange->n_origin, exchange->n_path}
			       : http_span_sv(exchange->head->path, bytes);
}

/* What the headers say about content codings: of the body, and of the answer. */
static void read_codings(struct http_exchange *exchange)
{
	struct sv value;
	uint16_t cursor = 0;

	exchange->coding = http_head_coding(exchange->head, exchange->bytes);
	if (!exchange->options->limits.coder) {
		exchange->coding =
			exchange->coding == CODING_IDENTITY ? CODING_IDENTITY : CODING_UNKNOWN;
		return;
	}
	while (http_head_next(exchange->head, exchange->bytes, SV("Accept-Encoding"), &cursor,
			      &value)) {
		coding_wishes_add(&exchange->wishes, value);
	}
}

struct http_exchange *reader_exchange_new(struct reader_connection *connection,
					  const struct http_head *head, const char *bytes)
{
	/* Of several, which no browser sends, none is believed: a comma stands in no origin. */
	struct sv origin = head->n_known[HTTP_KNOWN_ORIGIN] > 1
				 ? SV(",")
				 : http_head_value(head, bytes, HTTP_KNOWN_ORIGIN);
	/* One that is too long to be allowed stays too long. */
	size_t n_origin = origin.n <= ORIGIN_LENGTH_MAX ? origin.n : ORIGIN_LENGTH_MAX + 1;
	size_t n_path = head->is_escaped ? head->path.n : 0;
	struct http_exchange *exchange = malloc(sizeof(*exchange) + n_origin + n_path);

	if (!exchange) {
		return NULL;
	}
	*exchange = (struct http_exchange){
		.options = &connection->reader->options,
		.is_secure = wire_is_secure(connection->wire),
		.connection = connection,
		.head = head,
		.bytes = bytes,
		.closes = head->closes || connection->is_last,
		.n_origin = (uint16_t)n_origin,
	};
	if (n_origin) {
		memcpy(exchange->text, origin.data, n_origin);
	}
	if (n_path) {
		exchange->n_path = (uint16_t)http_path_unescape(http_span_sv(head->path, bytes),
								exchange->text + n_origin);
	}
	locate(exchange);
	exchange->is_head_only = sv_eq(exchange->method, SV("HEAD"));
	read_codings(exchange);
	TAILQ_INSERT_TAIL(&connection->exchanges, exchange, next);
	connection->n_exchanges++;
	connection->is_closing = connection->is_closing || exchange->closes;
	return exchange;
}

/* The bytes of the request are going to be replaced. */
static void forget_bytes(struct http_exchange *exchange)
{
	exchange->head = NULL;
	exchange->gather = NULL;
	exchange->bytes = NULL;
	exchange->method = exchange->path = exchange->body = SV_EMPTY;
}

bool http_exchange_take_body(struct http_exchange *exchange, struct buffer *ret_body)
{
	if (!exchange->gather || !http_gather_take(exchange->gather, ret_body)) {
		return false;
	}
	exchange->body = SV_EMPTY;
	locate(exchange);
	return true;
}

bool reader_exchange_prepare(struct http_exchange *exchange)
{
	const struct http_options *options = exchange->options;
	size_t n_portion = wire_portion(exchange->connection->wire);

	if (!options->prepare || exchange->body.n <= n_portion || exchange->is_too_large) {
		return true;
	}
	locate(exchange);
	exchange->is_prepared = true;
	return options->prepare(options->userdata, exchange, n_portion);
}

void reader_exchange_dispatch(struct http_exchange *exchange)
{
	struct reader_connection *connection = exchange->connection;
	struct http_reader *reader = connection->reader;

	connection->has_served = true;
	connection->is_receiving = false;
	wire_set_deadline(connection->wire, 0);
	if (reader->is_closing) {
		http_exchange_answer(exchange,
				     &(struct http_answer){.status = 503, .closes = true});
		return;
	}
	locate(exchange);
	exchange->is_dispatched = true;
	reader->options.request(reader->options.userdata, exchange);
	forget_bytes(exchange);
}

void reader_exchange_refuse(struct http_exchange *exchange, enum http_fault fault)
{
	struct http_reader *reader = exchange->connection->reader;
	struct reader_body *body = exchange->connection->body;

	exchange->closes = true;
	exchange->connection->is_closing = true;
	locate(exchange);
	reader->callbacks->malformed(reader->options.userdata, exchange, fault);
	forget_bytes(exchange);
	if (body && body->exchange == exchange) {
		/* The answer may wait long for earlier ones. The body would be kept in vain. */
		http_gather_deinit(&body->gather);
	}
}

void reader_exchange_cut(struct http_exchange *exchange)
{
	const struct http_options *options = exchange->options;

	exchange->closes = exchange->connection->is_closing = true;
	locate(exchange);
	options->cut(options->userdata, exchange);
	if (exchange->is_prepared) {
		/* Its answer may wait long for earlier ones. What was read of it need not. */
		exchange->is_prepared = false;
		options->done(options->userdata, exchange);
	}
}
