/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/http/head.h"
#include "gateway/http/server-state.h"

static const struct http_exchange_ops ops;

void mhd_exchange_hang_up(struct mhd_exchange *exchange)
{
	struct http_server *server = exchange->connection->shard->server;

	exchange->base.gone = true;
	server->options.gone(server->options.userdata, &exchange->base);
	/* Nobody reads the answer, but libmicrohttpd closes the connection after it. */
	http_exchange_answer(&exchange->base, &(struct http_answer){.status = 400, .close = true});
}

/* Requests. */

static bool speaks_codings(const struct mhd_exchange *exchange)
{
	return exchange->base.options->limits.coder;
}

struct look {
	struct mhd_exchange *exchange;
	unsigned n_told; /* how many times the headers say where the body ends */
};

static enum MHD_Result look_at_header(void *userdata, enum MHD_ValueKind kind, const char *key,
				      const char *value)
{
	struct sv name = sv_trim(sv_from(key));
	struct look *look = userdata;
	struct mhd_exchange *exchange = look->exchange;

	(void)kind;
	if (sv_eq_nocase(name, SV("content-length"))) {
		look->n_told++;
	} else if (sv_eq_nocase(name, SV("transfer-encoding"))) {
		look->n_told += sv_eq_nocase(sv_from(value), SV("chunked")) ? 1 : 2;
	} else if (sv_eq_nocase(name, SV("content-encoding"))) {
		exchange->base.coding = coding_add(exchange->base.coding, sv_from(value));
	} else if (speaks_codings(exchange) && sv_eq_nocase(name, SV("accept-encoding"))) {
		coding_wishes_add(&exchange->base.wishes, sv_from(value));
	}
	/* White space before the colon (RFC 9112, 5.1): other programs read it as part of the
	 * name. */
	look->n_told += name.n == strlen(key) ? 0 : 2;
	return MHD_YES;
}

static void look_at_headers(struct mhd_exchange *exchange)
{
	struct look look = {.exchange = exchange};

	MHD_get_connection_values(exchange->mhd, MHD_HEADER_KIND, look_at_header, &look);
	/* Contradicting lengths serve to smuggle requests past a proxy (CWE-444). */
	exchange->base.ambiguous = look.n_told > 1;
	if (exchange->base.coding != CODING_IDENTITY && !speaks_codings(exchange)) {
		exchange->base.coding = CODING_UNKNOWN;
	}
}

static struct mhd_exchange *exchange_new(struct MHD_Connection *mhd, const char *method,
					 const char *path)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct mhd_exchange *exchange = calloc(1, sizeof(*exchange));
	struct sv authority;

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
	exchange->base.options = &exchange->connection->shard->server->options;
	exchange->base.ops = &ops;
	exchange->base.secure = exchange->connection->peer.is_secure;
	exchange->base.method = sv_from(method);
	if (!http_target_split(sv_from(exchange->path), &exchange->base.path, &authority)) {
		exchange->base.path = sv_from(exchange->path);
	}
	http_gather_init(&exchange->gather, &exchange->base);
	look_at_headers(exchange);
	return exchange;
}

static void dispatch(struct mhd_exchange *exchange)
{
	struct http_server *server = exchange->connection->shard->server;

	exchange->dispatched = true;
	if (server->closing) {
		http_exchange_answer(&exchange->base,
				     &(struct http_answer){.status = 503, .close = true});
		return;
	}
	exchange->base.body = http_gather_body(&exchange->gather);
	server->options.request(server->options.userdata, &exchange->base);
	/* The body has been parsed; a held request does not need it any more. */
	exchange->base.body = SV_EMPTY;
	http_gather_deinit(&exchange->gather);
	if (!exchange->base.answered && !exchange->suspended) {
		exchange->suspended = true;
		MHD_suspend_connection(exchange->mhd);
		if (exchange->connection->hung_up) {
			mhd_exchange_hang_up(exchange);
		}
	}
}

/* Whether the body is declared so large that it will not be read to its end. */
static bool is_hopeless(const struct mhd_exchange *exchange)
{
	struct sv length = http_exchange_header(&exchange->base, "Content-Length");
	uint64_t n;

	return length.n && (sv_to_u64(length, UINT64_MAX, &n) < 0 ||
			    http_gather_is_hopeless(exchange->base.options, n));
}

enum MHD_Result mhd_exchange_on_access(void *userdata, struct MHD_Connection *mhd, const char *path,
				       const char *method, const char *version, const char *data,
				       size_t *n_data, void **exchange_slot)
{
	struct mhd_exchange *exchange = *exchange_slot;

	(void)userdata;
	(void)version;
	if (!exchange) {
		exchange = exchange_new(mhd, method, path);
		*exchange_slot = exchange;
		if (exchange && is_hopeless(exchange)) {
			/* An answer before the body has arrived ends the connection. */
			exchange->base.too_large = true;
			dispatch(exchange);
		}
		return exchange ? MHD_YES : MHD_NO;
	}
	if (*n_data) {
		bool taken = http_gather_add(&exchange->gather, data, *n_data);

		*n_data = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	if (!exchange->dispatched) {
		if (exchange->gather.cut || http_gather_decode(&exchange->gather) < 0) {
			return MHD_NO;
		}
		dispatch(exchange);
	}
	return MHD_YES;
}

void mhd_exchange_on_completed(void *userdata, struct MHD_Connection *mhd, void **exchange_slot,
			       enum MHD_RequestTerminationCode code)
{
	struct mhd_exchange *exchange = *exchange_slot;

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
		if (!exchange->base.answered && !exchange->base.gone) {
			exchange->base.gone = true;
			server->options.gone(server->options.userdata, &exchange->base);
		}
		server->options.done(server->options.userdata, &exchange->base);
	}
	http_gather_deinit(&exchange->gather);
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

static void answer_request(struct http_exchange *base, const struct http_answer *answer)
{
	struct mhd_exchange *exchange = mhd_exchange_of(base);

	if (exchange->gather.cut) {
		mhd_exchange_answer_cut(exchange, answer);
		return;
	}
	const struct http_options *options = base->options;
	/* While connections go to other processes, the next request may be for one of them. */
	bool closes = answer->close || base->ambiguous || options->passes(options->userdata);
	struct MHD_Response *response = response_new(answer, closes);

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

static void cut(struct http_exchange *exchange)
{
	struct http_connection *connection = mhd_exchange_of(exchange)->connection;

	connection->since = http_server_now(connection->shard->server);
	exchange->options->cut(exchange->options->userdata, exchange);
}

/* The socket then has two descriptors: libmicrohttpd keeps its own. */
static int detach(struct http_exchange *base, struct wire **ret_wire,
		  struct http_exchange **ret_kept)
{
	struct mhd_exchange *exchange = mhd_exchange_of(base);
	int fd = fcntl(exchange->connection->fd, F_DUPFD_CLOEXEC, 0);
	struct wire *wire = NULL;
	int r = fd < 0 ? -errno : wire_new_again(fd, &exchange->connection->peer, &wire);

	if (r == 0) {
		r = wire_join(wire, base->options->hub);
	}
	if (r < 0) {
		if (wire) {
			wire_close(wire);
		} else if (fd >= 0) {
			close(fd);
		}
		return r;
	}
	exchange->connection->detached = true;
	if (!exchange->suspended) {
		exchange->suspended = true;
		MHD_suspend_connection(exchange->mhd);
	}
	*ret_wire = wire;
	*ret_kept = base;
	return 0;
}

static void release(struct http_exchange *exchange)
{
	/* No HTTP may follow what the other protocol has sent. */
	shutdown(mhd_exchange_of(exchange)->connection->fd, SHUT_RDWR);
	http_exchange_answer(exchange, &(struct http_answer){.status = 400, .close = true});
}

/* Headers. */

static struct sv header(const struct http_exchange *exchange, const char *name)
{
	return sv_from(
		MHD_lookup_connection_value(mhd_exchange_of(exchange)->mhd, MHD_HEADER_KIND, name));
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

static struct sv header_list(const struct http_exchange *exchange, const char *name,
			     struct buffer *joined)
{
	struct list list = {.name = name, .joined = joined};

	MHD_get_connection_values(mhd_exchange_of(exchange)->mhd, MHD_HEADER_KIND, join_line,
				  &list);
	return list.n_lines && list.r == 0 ? buffer_sv(joined) : SV_EMPTY;
}

static const struct address *peer(const struct http_exchange *exchange)
{
	return &mhd_exchange_of(exchange)->connection->peer.address;
}

static const struct http_exchange_ops ops = {
	.peer = peer,
	.header = header,
	.header_list = header_list,
	.answer = answer_request,
	.detach = detach,
	.release = release,
	.cut = cut,
};
