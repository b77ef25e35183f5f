/* SPDX-License-Identifier: MIT */
/* Requests that are cut off while their bodies arrive: what they hold is wanted for others. */
#include <string.h>
#include <sys/socket.h>

#include "common/writer.h"
#include "gateway/http/server-state.h"

static const struct http_server_options *options_of(const struct http_exchange *exchange)
{
	return &exchange->connection->shard->server->options;
}

static void on_evict(struct budget_charge *charge)
{
	struct http_exchange *exchange = CONTAINER_OF(charge, struct http_exchange, charge);
	const struct http_server_options *options = options_of(exchange);

	exchange->cut = true;
	exchange->connection->since = http_server_now(exchange->connection->shard->server);
	buffer_deinit(&exchange->body);
	options->cut(options->userdata, exchange);
}

void http_exchange_charge_init(struct http_exchange *exchange)
{
	exchange->charge = BUDGET_CHARGE_INIT(options_of(exchange)->owner, on_evict);
}

int http_exchange_charge(struct http_exchange *exchange)
{
	const struct http_server_options *options = options_of(exchange);
	struct address client;

	if (exchange->body.size <= BUDGET_STEP) {
		return 0;
	}
	client = options->client(options->userdata, exchange);
	return budget_hold(options->budget, &exchange->charge, &client, exchange->body.size);
}

static void write_header(struct writer *writer, const char *name, const char *value)
{
	writer_put(writer, sv_from(name));
	writer_put(writer, SV(": "));
	writer_put(writer, sv_from(value));
	writer_put(writer, SV("\r\n"));
}

static int write_answer(const struct http_exchange *exchange, const struct http_answer *answer,
			struct buffer *buffer)
{
	struct sv body = answer->body ? blob_sv(answer->body) : SV_EMPTY;
	struct writer writer = writer_begin(buffer);

	writer_printf(&writer, "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Length: %zu\r\n",
		      answer->status, MHD_get_reason_phrase_for(answer->status), body.n);
	if (answer->content_type) {
		write_header(&writer, "Content-Type", answer->content_type);
	}
	for (const char *const *header = answer->headers; header && header[0]; header += 2) {
		write_header(&writer, header[0], header[1]);
	}
	writer_put(&writer, SV("\r\n"));
	if (strcmp(exchange->method, "HEAD") != 0) {
		writer_put(&writer, body);
	}
	return writer_end(&writer);
}

/* libmicrohttpd takes no answer while a body arrives. It has written nothing since the last answer,
 * so this goes to the socket itself. Nothing may follow it; what the client still sends is thrown
 * away, because closing the connection at once could reset it before the client has read the
 * answer. */
void http_exchange_answer_cut(struct http_exchange *exchange, const struct http_answer *answer)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
	int fd = exchange->connection->fd;

	exchange->answered = true;
	if (write_answer(exchange, answer, &text) == 0) {
		/* It is small and nothing waits before it. A client that does not get it sees the
		 * end. */
		(void)!send(fd, buffer_sv(&text).data, text.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	shutdown(fd, SHUT_WR);
	blob_unref(answer->body);
}
