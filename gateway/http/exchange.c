/* SPDX-License-Identifier: MIT */
#include "gateway/http/exchange.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/http/answer.h"
#include "gateway/http/coder.h"
#include "gateway/http/date.h"
#include "gateway/http/reader-state.h"

/* The request. */

struct sv http_exchange_method(const struct http_exchange *exchange)
{
	return exchange->method;
}

struct sv http_exchange_path(const struct http_exchange *exchange)
{
	return exchange->path;
}

struct sv http_exchange_body(const struct http_exchange *exchange)
{
	return exchange->body;
}

bool http_exchange_body_too_large(const struct http_exchange *exchange)
{
	return exchange->is_too_large;
}

bool http_exchange_is_coded_otherwise(const struct http_exchange *exchange)
{
	return exchange->coding == CODING_UNKNOWN;
}

bool http_exchange_is_secure(const struct http_exchange *exchange)
{
	return exchange->is_secure;
}

struct sv http_exchange_header(const struct http_exchange *exchange, const char *name)
{
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
		return http_span_sv(head->authority, reader_exchange_bytes(exchange));
	}
	return http_head_next(head, reader_exchange_bytes(exchange), sv_from(name), &cursor, &value)
		     ? value
		     : SV_EMPTY;
}

int http_exchange_header_list(const struct http_exchange *exchange, const char *name,
			      struct buffer *joined, struct sv *ret_list)
{
	struct sv value, list = SV_EMPTY;
	uint16_t cursor = 0;
	int r = 0;

	while (r == 0 && exchange->head &&
	       http_head_next(exchange->head, reader_exchange_bytes(exchange), sv_from(name),
			      &cursor, &value)) {
		if (list.data) {
			r = joined->n ? 0 : buffer_append_sv(joined, list);
			r = r < 0 ? r : buffer_append_sv(joined, SV(", "));
			r = r < 0 ? r : buffer_append_sv(joined, value);
			list = buffer_sv(joined);
		} else {
			list = value;
		}
	}
	*ret_list = r < 0 ? SV_EMPTY : list;
	return r;
}

const struct address *http_exchange_peer(const struct http_exchange *exchange)
{
	return &exchange->connection->peer;
}

int http_exchange_set_client(struct http_exchange *exchange, const struct address *client)
{
	return wire_set_payer(exchange->connection->wire, client);
}

/* The owner. */

void http_exchange_set_userdata(struct http_exchange *exchange, void *userdata)
{
	exchange->userdata = userdata;
}

void *http_exchange_userdata(const struct http_exchange *exchange)
{
	return exchange->userdata;
}

/* The answer. */

enum coding http_exchange_choose_coding(const struct http_exchange *exchange, size_t n)
{
	return exchange->options->limits.coder ? coding_choose(&exchange->wishes, n)
					       : CODING_IDENTITY;
}

int http_exchange_encode(struct http_exchange *exchange, enum coding coding, struct sv plain,
			 struct blob **ret_coded)
{
	return coder_encode(exchange->options->limits.coder, coding, plain, ret_coded);
}

unsigned http_exchange_status(const struct http_exchange *exchange)
{
	return exchange->status;
}

static int write_head(const struct http_exchange *exchange, const struct http_answer *answer,
		      struct buffer *ret_head)
{
	struct sv date = http_date_line(exchange->options->date, time(NULL));

	return http_answer_write(answer, answer->body ? answer->body->n : 0, exchange->closes, date,
				 ret_head);
}

/* Keeps an answer until those before it have been sent. Returns 0 or -ENOMEM. */
static int keep(struct http_exchange *exchange, const struct http_answer *answer, struct blob *body)
{
	struct reader_connection *connection = exchange->connection;
	struct reader_answer *early = calloc(1, sizeof(*early));
	int r = early ? write_head(exchange, answer, &early->head) : -ENOMEM;

	if (r < 0) {
		free(early);
		blob_unref(body);
		return r;
	}
	early->body = body;
	exchange->early = early;
	connection->n_early += reader_answer_size(early);
	return wire_set_kept(connection->wire, connection->n_early);
}

static int send_now(struct http_exchange *exchange, const struct http_answer *answer,
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

void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	struct reader_connection *connection = exchange->connection;
	struct blob *body = exchange->is_head_only ? NULL : answer->body;
	int r;

	if (exchange->is_answered) {
		blob_unref(answer->body);
		return;
	}
	exchange->is_answered = true;
	exchange->status = answer->status;
	if (exchange->is_gone || !connection->wire) {
		blob_unref(answer->body);
		return;
	}
	exchange->closes = exchange->closes || answer->closes;
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

int http_exchange_detach(struct http_exchange *exchange, struct wire **ret_wire)
{
	struct reader_connection *connection = exchange->connection;

	/* The answers that are due before this one would have no connection any more. */
	if (!connection->wire || connection->n_exchanges > 1) {
		return -EBUSY;
	}
	exchange->is_answered = true;
	*ret_wire = connection->wire;
	wire_set_deadline(*ret_wire, 0);
	wire_wake(*ret_wire);
	reader_connection_end(connection, READER_END_GIVEN);
	return 0;
}
