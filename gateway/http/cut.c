/* SPDX-License-Identifier: MIT */
/* Requests that are cut off while their bodies arrive: what they hold is wanted for others. */
#include <string.h>
#include <sys/socket.h>

#include "gateway/http/answer.h"
#include "gateway/http/date.h"
#include "gateway/http/server-state.h"

static int write_answer(const struct mhd_exchange *exchange, const struct http_answer *answer,
			struct buffer *buffer)
{
	struct sv body = answer->body ? blob_sv(answer->body) : SV_EMPTY;
	struct sv date = http_date_line(exchange->base.options->date, time(NULL));
	int r = http_answer_write(answer, body.n, true, date, buffer);

	if (r == 0 && !sv_eq(exchange->base.method, SV("HEAD"))) {
		r = buffer_append_sv(buffer, body);
	}
	return r;
}

/* libmicrohttpd takes no answer while a body arrives. It has written nothing since the last answer,
 * so this goes to the socket itself. Nothing may follow it; what the client still sends is thrown
 * away, because closing the connection at once could reset it before the client has read the
 * answer. */
void mhd_exchange_answer_cut(struct mhd_exchange *exchange, const struct http_answer *answer)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
	int fd = exchange->connection->fd;

	if (write_answer(exchange, answer, &text) == 0) {
		/* It is small and nothing waits before it. A client that does not get it sees the
		 * end. */
		(void)!send(fd, buffer_sv(&text).data, text.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	shutdown(fd, SHUT_WR);
	blob_unref(answer->body);
}
