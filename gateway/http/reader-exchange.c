/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/http/answer.h"
#include "gateway/http/beginning.h"
#include "gateway/http/date.h"
#include "gateway/http/reader-state.h"
#include "policy/origin.h"

static struct reader_exchange *of(const struct http_exchange *exchange)
{
	return CONTAINER_OF(exchange, struct reader_exchange, base);
}

/* Headers. */

static const char *bytes_of(const struct reader_exchange *exchange)
{
	return exchange->gather ? buffer_sv(&exchange->gather->bytes).data : exchange->bytes;
}

/* The bytes may have moved. */
static void locate(struct reader_exchange *exchange)
{
	const char *bytes = bytes_of(exchange);

	exchange->base.method = http_span_sv(exchange->head->method, bytes);
	exchange->base.path =
		exchange->head->is_escaped
			? (struct sv){exchange->text + exchange->n_origin, exchange->n_path}
			: http_span_sv(exchange->head->path, bytes);
}

struct sv http_exchange_header(const struct http_exchange *base, const char *name)
{
	const struct reader_exchange *exchange = of(base);
	const struct http_head *head = exchange->head;
	uint16_t cursor = 0;
	struct sv value;

	if (sv_eq(sv_from(name), SV("Origin"))) {
		return exchange->n_origin ? (struct sv){exchange->text, exchange->n_origin}
					  : SV_EMPTY;
	}
	if (!head) {
		return SV_EMPTY;
	}
	if (head->minor == 0 && sv_eq(sv_from(name), SV("Upgrade"))) {
		/* RFC 9110, 7.8: ignored in HTTP/1.0. */
		return SV_EMPTY;
	}
	if (head->authority.n && sv_eq(sv_from(name), SV("Host"))) {
		/* RFC 9112, 3.2.2: it overrides the header. */
		return http_span_sv(head->authority, bytes_of(exchange));
	}
	return http_head_next(head, bytes_of(exchange), sv_from(name), &cursor, &value) ? value
											: SV_EMPTY;
}

struct sv http_exchange_header_list(const struct http_exchange *base, const char *name,
				    struct buffer *joined)
{
	const struct reader_exchange *exchange = of(base);
	struct sv value, list = SV_EMPTY;
	uint16_t cursor = 0;
	int r = 0;

	while (r == 0 && exchange->head &&
	       http_head_next(exchange->head, bytes_of(exchange), sv_from(name), &cursor, &value)) {
		if (list.data) {
			r = joined->n ? 0 : buffer_append_sv(joined, list);
			r = r < 0 ? r : buffer_append_sv(joined, SV(", "));
			r = r < 0 ? r : buffer_append_sv(joined, value);
			list = buffer_sv(joined);
		} else {
			list = value;
		}
	}
	return r < 0 ? SV_EMPTY : list;
}

const struct address *http_exchange_peer(const struct http_exchange *exchange)
{
	return &of(exchange)->connection->peer;
}

/* Answering. */

static int write_head(const struct reader_exchange *exchange, const struct http_answer *answer,
		      struct buffer *ret_head)
{
	struct sv date = http_date_line(exchange->base.options->date, time(NULL));

	return http_answer_write(answer, answer->body ? answer->body->n : 0, exchange->closes, date,
				 ret_head);
}

/* Keeps an answer until those before it have been sent. Returns 0 or -ENOMEM. */
static int keep(struct reader_exchange *exchange, const struct http_answer *answer,
		struct blob *body)
{
	struct reader_answer *early = calloc(1, sizeof(*early));
	int r = early ? write_head(exchange, answer, &early->head) : -ENOMEM;

	if (r < 0) {
		free(early);
		blob_unref(body);
		return r;
	}
	early->body = body;
	exchange->early = early;
	return 0;
}

static int send_now(struct reader_exchange *exchange, const struct http_answer *answer,
		    struct blob *body)
{
	struct buffer *scratch = &exchange->connection->reader->scratch;
	int r;

	buffer_clear(scratch);
	r = write_head(exchange, answer, scratch);
	if (r < 0) {
		blob_unref(body);
		return r;
	}
	reader_connection_send(exchange->connection, scratch, body);
	return 0;
}

void http_exchange_answer(struct http_exchange *base, const struct http_answer *answer)
{
	struct reader_exchange *exchange = of(base);
	struct reader_connection *connection = exchange->connection;
	struct blob *body = exchange->is_head_only ? NULL : answer->body;
	int r;

	if (base->answered) {
		blob_unref(answer->body);
		return;
	}
	base->answered = true;
	base->status = answer->status;
	if (base->gone || !connection->wire) {
		blob_unref(answer->body);
		return;
	}
	exchange->closes = exchange->closes || answer->close;
	if (TAILQ_FIRST(&connection->exchanges) == exchange) {
		r = send_now(exchange, answer, body);
	} else {
		r = keep(exchange, answer, body);
	}
	if (exchange->is_head_only) {
		blob_unref(answer->body);
	}
	if (r < 0) {
		reader_connection_end(connection, READER_END_CLOSE);
		return;
	}
	reader_connection_advance(connection);
}

/* Only for the request that is being passed on, when none is held before it. */
int http_exchange_detach(struct http_exchange *base, struct wire **ret_wire)
{
	struct reader_connection *connection = of(base)->connection;

	if (!connection->wire || connection->n_exchanges > 1) {
		return -EBUSY;
	}
	base->answered = true;
	*ret_wire = connection->wire;
	wire_set_deadline(*ret_wire, 0);
	wire_wake(*ret_wire);
	reader_connection_end(connection, READER_END_GIVEN);
	return 0;
}

void reader_exchange_cut(struct http_exchange *exchange)
{
	of(exchange)->closes = of(exchange)->connection->closing = true;
	locate(of(exchange));
	exchange->options->cut(exchange->options->userdata, exchange);
}

/* Requests. */

/* What the headers say about content codings: of the body, and of the answer. */
static void read_codings(struct reader_exchange *exchange)
{
	struct http_exchange *base = &exchange->base;
	struct sv value;
	uint16_t cursor = 0;

	base->coding = http_head_coding(exchange->head, exchange->bytes);
	if (!base->options->limits.coder) {
		base->coding = base->coding == CODING_IDENTITY ? CODING_IDENTITY : CODING_UNKNOWN;
		return;
	}
	while (http_head_next(exchange->head, exchange->bytes, SV("Accept-Encoding"), &cursor,
			      &value)) {
		coding_wishes_add(&base->wishes, value);
	}
}

struct reader_exchange *reader_exchange_new(struct reader_connection *connection,
					    const struct http_head *head, const char *bytes)
{
	/* Of several, which no browser sends, none is believed: a comma stands in no origin. */
	struct sv origin = head->n_known[HTTP_KNOWN_ORIGIN] > 1
				 ? SV(",")
				 : http_head_value(head, bytes, HTTP_KNOWN_ORIGIN);
	/* One that is too long to be allowed stays too long. */
	size_t n_origin = origin.n <= ORIGIN_LENGTH_MAX ? origin.n : ORIGIN_LENGTH_MAX + 1;
	size_t n_path = head->is_escaped ? head->path.n : 0;
	struct reader_exchange *exchange = malloc(sizeof(*exchange) + n_origin + n_path);

	if (!exchange) {
		return NULL;
	}
	*exchange = (struct reader_exchange){
		.base = {.options = &connection->reader->options,
			 .secure = wire_is_secure(connection->wire)},
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
	exchange->is_head_only = sv_eq(exchange->base.method, SV("HEAD"));
	read_codings(exchange);
	TAILQ_INSERT_TAIL(&connection->exchanges, exchange, next);
	connection->n_exchanges++;
	connection->closing = connection->closing || exchange->closes;
	return exchange;
}

/* The bytes of the request are going to be replaced. */
static void forget_bytes(struct reader_exchange *exchange)
{
	exchange->head = NULL;
	exchange->gather = NULL;
	exchange->bytes = NULL;
	exchange->base.method = exchange->base.path = exchange->base.body = SV_EMPTY;
}

void reader_exchange_dispatch(struct reader_exchange *exchange)
{
	struct reader_connection *connection = exchange->connection;
	struct http_reader *reader = connection->reader;

	connection->served = true;
	connection->receiving = false;
	wire_set_deadline(connection->wire, 0);
	if (reader->closing) {
		http_exchange_answer(&exchange->base,
				     &(struct http_answer){.status = 503, .close = true});
		return;
	}
	locate(exchange);
	exchange->dispatched = true;
	reader->options.request(reader->options.userdata, &exchange->base);
	forget_bytes(exchange);
}

void reader_exchange_refuse(struct reader_exchange *exchange, enum http_fault fault)
{
	struct http_reader *reader = exchange->connection->reader;
	struct reader_body *body = exchange->connection->body;

	exchange->closes = true;
	exchange->connection->closing = true;
	locate(exchange);
	reader->callbacks->malformed(reader->options.userdata, &exchange->base, fault);
	forget_bytes(exchange);
	if (body && body->exchange == exchange) {
		/* The answer may wait long for earlier ones. The body would be kept in vain. */
		http_gather_deinit(&body->gather);
	}
}
