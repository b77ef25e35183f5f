/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "gateway/http/server-state.h"

void http_exchange_hang_up(struct http_exchange *exchange)
{
	struct http_server *server = exchange->connection->shard->server;

	exchange->gone = true;
	server->options.gone(server->options.userdata, exchange);
	/* Nobody reads the answer, but libmicrohttpd closes the connection after it. */
	http_exchange_answer(exchange, &(struct http_answer){.status = 400, .close = true});
}

/* Requests. */

static bool speaks_codings(const struct http_exchange *exchange)
{
	return exchange->connection->shard->server->options.coding;
}

struct look {
	struct http_exchange *exchange;
	unsigned n_told; /* how many times the headers say where the body ends */
};

static enum MHD_Result look_at_header(void *userdata, enum MHD_ValueKind kind, const char *key,
				      const char *value)
{
	struct sv name = sv_trim(sv_from(key));
	struct look *look = userdata;
	struct http_exchange *exchange = look->exchange;

	(void)kind;
	if (sv_eq_nocase(name, SV("content-length"))) {
		look->n_told++;
	} else if (sv_eq_nocase(name, SV("transfer-encoding"))) {
		look->n_told += sv_eq_nocase(sv_from(value), SV("chunked")) ? 1 : 2;
	} else if (sv_eq_nocase(name, SV("content-encoding"))) {
		exchange->coding = coding_add(exchange->coding, sv_from(value));
	} else if (speaks_codings(exchange) && sv_eq_nocase(name, SV("accept-encoding"))) {
		coding_wishes_add(&exchange->wishes, sv_from(value));
	}
	/* White space before the colon (RFC 9112, 5.1): other programs read it as part of the
	 * name. */
	look->n_told += name.n == strlen(key) ? 0 : 2;
	return MHD_YES;
}

static void look_at_headers(struct http_exchange *exchange)
{
	struct look look = {.exchange = exchange};

	MHD_get_connection_values(exchange->mhd, MHD_HEADER_KIND, look_at_header, &look);
	/* Contradicting lengths serve to smuggle requests past a proxy (CWE-444). */
	exchange->ambiguous = look.n_told > 1;
	if (exchange->coding != CODING_IDENTITY && !speaks_codings(exchange)) {
		exchange->coding = CODING_UNKNOWN;
	}
}

static struct http_exchange *exchange_new(struct MHD_Connection *mhd, const char *method,
					  const char *path)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange || !info || !info->socket_context) {
		free(exchange);
		return NULL;
	}
	exchange->path = strdup(path);
	if (!exchange->path) {
		free(exchange);
		return NULL;
	}
	exchange->connection = info->socket_context;
	exchange->connection->exchange = exchange;
	exchange->mhd = mhd;
	exchange->method = method;
	http_exchange_charge_init(exchange);
	look_at_headers(exchange);
	return exchange;
}

static void forget_body(struct http_exchange *exchange)
{
	buffer_deinit(&exchange->body);
	budget_release(exchange->connection->shard->server->options.budget, &exchange->charge);
}

/* Shortens the body to what is kept of one that is too large, and frees the rest of its memory. */
static void keep_beginning(struct http_exchange *exchange)
{
	struct buffer beginning = BUFFER_INIT;

	if (exchange->body.n <= HTTP_KEEP_LARGE) {
		return;
	}
	if (buffer_append_sv(&beginning, sv_first(buffer_sv(&exchange->body), HTTP_KEEP_LARGE)) <
	    0) {
		exchange->body.n = HTTP_KEEP_LARGE;
		return;
	}
	forget_body(exchange);
	exchange->body = beginning;
}

/* Discards a piece of the body. Returns false when the client has sent too much. */
static bool discard(struct http_exchange *exchange, size_t n)
{
	exchange->n_discarded += n;
	return exchange->n_discarded <= HTTP_DISCARD_MAX;
}

/* Takes a piece of the body. Returns false when the client has sent too much, or out of memory. */
static bool take_body(struct http_exchange *exchange, const char *data, size_t n)
{
	size_t n_max = exchange->connection->shard->server->options.n_body_max;

	if (exchange->cut) {
		return discard(exchange, n);
	}
	if (!exchange->too_large && n <= n_max - exchange->body.n) {
		return buffer_append(&exchange->body, data, n) == 0 &&
		       http_exchange_charge(exchange) == 0;
	}
	if (exchange->body.n < HTTP_KEEP_LARGE) {
		size_t n_room = HTTP_KEEP_LARGE - exchange->body.n;

		(void)!buffer_append(&exchange->body, data, n < n_room ? n : n_room);
	}
	keep_beginning(exchange);
	exchange->too_large = true;
	return discard(exchange, n);
}

static void dispatch(struct http_exchange *exchange)
{
	struct http_server *server = exchange->connection->shard->server;

	exchange->dispatched = true;
	if (server->closing) {
		http_exchange_answer(exchange, &(struct http_answer){.status = 503, .close = true});
		return;
	}
	server->options.request(server->options.userdata, exchange);
	/* The body has been parsed; a held request does not need it any more. */
	forget_body(exchange);
	if (!exchange->answered && !exchange->suspended) {
		exchange->suspended = true;
		MHD_suspend_connection(exchange->mhd);
		if (exchange->connection->hung_up) {
			http_exchange_hang_up(exchange);
		}
	}
}

/* Decodes the body, or its beginning if it is too large. Returns 0 or -ENOMEM. */
static int decode_body(struct http_exchange *exchange)
{
	struct http_server *server = exchange->connection->shard->server;
	size_t n_max = exchange->too_large ? HTTP_KEEP_LARGE : server->options.n_body_max;
	struct buffer coded = exchange->body;

	if (exchange->coding == CODING_IDENTITY || exchange->coding == CODING_UNKNOWN) {
		return 0;
	}
	exchange->body = BUFFER_INIT;
	int r = coder_decode(server->coder, exchange->coding, buffer_sv(&coded), n_max,
			     &exchange->body);

	buffer_deinit(&coded);
	if (r == CODING_E_TOO_LARGE) {
		exchange->too_large = true;
	}
	if (r > CODING_OK) {
		keep_beginning(exchange);
		/* The text may be complete and only its checksum be wrong. */
		r = buffer_append(&exchange->body, "", 1);
	}
	return r;
}

/* Whether the body is declared so large that it will not be read to its end. */
static bool is_hopeless(const struct http_exchange *exchange)
{
	size_t n_max = exchange->connection->shard->server->options.n_body_max;
	struct sv length = http_exchange_header(exchange, "Content-Length");
	uint64_t n;

	return length.n && (sv_to_u64(length, UINT64_MAX, &n) < 0 || n > n_max + HTTP_DISCARD_MAX);
}

enum MHD_Result http_exchange_on_access(void *userdata, struct MHD_Connection *mhd,
					const char *path, const char *method, const char *version,
					const char *data, size_t *n_data, void **exchange_slot)
{
	struct http_exchange *exchange = *exchange_slot;

	(void)userdata;
	(void)version;
	if (!exchange) {
		exchange = exchange_new(mhd, method, path);
		*exchange_slot = exchange;
		if (exchange && is_hopeless(exchange)) {
			/* An answer before the body has arrived ends the connection. */
			exchange->too_large = true;
			dispatch(exchange);
		}
		return exchange ? MHD_YES : MHD_NO;
	}
	if (*n_data) {
		bool taken = take_body(exchange, data, *n_data);

		*n_data = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	if (!exchange->dispatched) {
		if (exchange->cut || decode_body(exchange) < 0) {
			return MHD_NO;
		}
		dispatch(exchange);
	}
	return MHD_YES;
}

void http_exchange_on_completed(void *userdata, struct MHD_Connection *mhd, void **exchange_slot,
				enum MHD_RequestTerminationCode code)
{
	struct http_exchange *exchange = *exchange_slot;

	(void)userdata;
	(void)mhd;
	(void)code;
	if (!exchange) {
		return;
	}
	struct http_server *server = exchange->connection->shard->server;

	exchange->connection->exchange = NULL;
	exchange->connection->since = http_server_now(server);
	exchange->connection->served = true;
	if (exchange->dispatched) {
		if (!exchange->answered && !exchange->gone) {
			exchange->gone = true;
			server->options.gone(server->options.userdata, exchange);
		}
		server->options.done(server->options.userdata, exchange);
	}
	forget_body(exchange);
	free(exchange->path);
	free(exchange);
	*exchange_slot = NULL;
}

/* Answering. */

static void free_body(void *blob)
{
	blob_unref(blob);
}

static struct MHD_Response *response_new(const struct http_answer *answer, bool close)
{
	struct MHD_Response *response;

	if (answer->body) {
		response = MHD_create_response_from_buffer_with_free_callback_cls(
			answer->body->n, answer->body->data, free_body, answer->body);
	} else {
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	}
	if (!response) {
		blob_unref(answer->body);
		return NULL;
	}
	if (answer->content_type) {
		MHD_add_response_header(response, "Content-Type", answer->content_type);
	}
	for (const char *const *header = answer->headers; header && header[0]; header += 2) {
		MHD_add_response_header(response, header[0], header[1]);
	}
	if (close) {
		MHD_add_response_header(response, "Connection", "close");
	}
	return response;
}

void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	if (exchange->answered) {
		blob_unref(answer->body);
		return;
	}
	if (exchange->cut) {
		http_exchange_answer_cut(exchange, answer);
		return;
	}
	struct MHD_Response *response = response_new(answer, answer->close || exchange->ambiguous);

	exchange->answered = true;
	exchange->status = answer->status;
	if (response) {
		MHD_queue_response(exchange->mhd, answer->status, response);
		MHD_destroy_response(response);
	}
	if (exchange->suspended) {
		exchange->suspended = false;
		exchange->connection->shard->due = true;
		MHD_resume_connection(exchange->mhd);
	}
}

enum coding http_exchange_choose_coding(const struct http_exchange *exchange, size_t n)
{
	return speaks_codings(exchange) ? coding_choose(&exchange->wishes, n) : CODING_IDENTITY;
}

int http_exchange_encode(struct http_exchange *exchange, enum coding coding, struct sv plain,
			 struct blob **ret_coded)
{
	return coder_encode(exchange->connection->shard->server->coder, coding, plain, ret_coded);
}

int http_exchange_detach(struct http_exchange *exchange, int *ret_fd)
{
	int fd = fcntl(exchange->connection->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	exchange->connection->detached = true;
	if (!exchange->suspended) {
		exchange->suspended = true;
		MHD_suspend_connection(exchange->mhd);
	}
	*ret_fd = fd;
	return 0;
}

void http_exchange_release(struct http_exchange *exchange)
{
	/* No HTTP may follow what the other protocol has sent. */
	shutdown(exchange->connection->fd, SHUT_RDWR);
	http_exchange_answer(exchange, &(struct http_answer){.status = 400, .close = true});
}

/* Accessors. */

struct sv http_exchange_method(const struct http_exchange *exchange)
{
	return sv_from(exchange->method);
}

unsigned http_exchange_status(const struct http_exchange *exchange)
{
	return exchange->status;
}

struct sv http_exchange_path(const struct http_exchange *exchange)
{
	return sv_from(exchange->path);
}

struct sv http_exchange_body(const struct http_exchange *exchange)
{
	return buffer_sv(&exchange->body);
}

bool http_exchange_is_ambiguous(const struct http_exchange *exchange)
{
	return exchange->ambiguous;
}

bool http_exchange_body_too_large(const struct http_exchange *exchange)
{
	return exchange->too_large;
}

bool http_exchange_is_coded_otherwise(const struct http_exchange *exchange)
{
	return exchange->coding == CODING_UNKNOWN;
}

struct sv http_exchange_header(const struct http_exchange *exchange, const char *name)
{
	return sv_from(MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, name));
}

struct list {
	const char *name;
	struct buffer *joined;
	size_t n_lines;
	int r;
};

static enum MHD_Result join_line(void *userdata, enum MHD_ValueKind kind, const char *key,
				 const char *value)
{
	struct list *list = userdata;

	(void)kind;
	if (!sv_eq_nocase(sv_from(key), sv_from(list->name))) {
		return MHD_YES;
	}
	if (list->n_lines++) {
		list->r = buffer_append_sv(list->joined, SV(", "));
	}
	list->r = list->r < 0 ? list->r : buffer_append_sv(list->joined, sv_from(value));
	return list->r < 0 ? MHD_NO : MHD_YES;
}

struct sv http_exchange_header_list(const struct http_exchange *exchange, const char *name,
				    struct buffer *joined)
{
	struct list list = {.name = name, .joined = joined};

	MHD_get_connection_values(exchange->mhd, MHD_HEADER_KIND, join_line, &list);
	return list.n_lines && list.r == 0 ? buffer_sv(joined) : SV_EMPTY;
}

const struct address *http_exchange_peer(const struct http_exchange *exchange)
{
	return &exchange->connection->peer;
}

void http_exchange_set_userdata(struct http_exchange *exchange, void *userdata)
{
	exchange->userdata = userdata;
}

void *http_exchange_userdata(const struct http_exchange *exchange)
{
	return exchange->userdata;
}
