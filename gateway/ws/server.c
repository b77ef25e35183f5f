/* SPDX-License-Identifier: MIT */
#include "gateway/ws/server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gateway/ws/frame-head.h"

enum {
	/* Handshakes in progress at once, and the bytes of headers each may have: enough for what
	 * upgrade_write() writes. */
	HEADER_POOL = 512,
	HEADER_SIZE = 1024,
	CLOSE_FRAME_SIZE = 4,
	/* Once this many bytes are gathered they are written at once, not at the end of the
	 * iteration. */
	GATHERED_MAX = 64 * 1024,
	/* Bytes per write, more than any message has. libwebsockets would copy the rest of a longer
	 * message and write one piece of it per iteration of the loop. */
	WRITE_MAX = 1024 * 1024 * 1024,
	/* More than libwebsockets allocates for a handshake: connection, watcher, headers. */
	ADOPTION_RESERVE = 32 * 1024,
};

/* A queued message. libwebsockets writes the frame header into the space before it. */
struct frame {
	STAILQ_ENTRY(frame) in_queue;
	size_t n;
	unsigned char head[LWS_PRE];
	unsigned char data[];
};

struct ws_connection {
	struct ws_server *server;
	struct lws *wsi;
	void *session;
	STAILQ_HEAD(, frame) queue;
	size_t n_queued;
	enum ws_close_status close_status; /* 0: not closing */
	bool congested, close_sent, clean;
};

struct ws_server {
	struct ws_server_options options;
	struct lws_context *context;
	struct lws_vhost *vhost;
	lws_retry_bo_t idle_policy;
	struct adoption *adopting; /* of the connection that ws_server_adopt() is creating */
	/* ADOPTION_RESERVE bytes, freed for the next adoption; NULL: out of memory */
	void *reserve;
	/* The messages that `gathering` sent in this iteration of the loop, to be written together.
	 * LWS_PRE bytes for libwebsockets come first. */
	unsigned char *gathered;
	size_t n_gathered, n_room;
	struct ws_connection *gathering; /* NULL: none */
	uv_prepare_t prepare;            /* flushes after the loop's timers have run */
	uv_check_t check;                /* flushes after the loop has polled */
	bool stopping;
};

/* The opaque pointer of each connection of libwebsockets, from the start of the handshake on. */
struct adoption {
	void *request;
};

static struct ws_server *server_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

/* Sending. */

static bool is_blocked(const struct ws_connection *connection)
{
	return lws_partial_buffered(connection->wsi);
}

static void flush(struct ws_server *server)
{
	struct ws_connection *connection = server->gathering;
	size_t n = server->n_gathered;

	server->gathering = NULL;
	server->n_gathered = 0;
	if (!connection) {
		return;
	}
	/* libwebsockets buffers what the kernel does not accept; a broken connection is reported by
	 * `closed`. */
	lws_write(connection->wsi, server->gathered + LWS_PRE, n, LWS_WRITE_RAW);
	if (is_blocked(connection)) {
		lws_callback_on_writable(connection->wsi);
	}
}

static void on_prepare(uv_prepare_t *prepare)
{
	flush(CONTAINER_OF(prepare, struct ws_server, prepare));
}

static void on_check(uv_check_t *check)
{
	flush(CONTAINER_OF(check, struct ws_server, check));
}

static int make_room(struct ws_server *server, size_t n)
{
	if (server->n_room >= n) {
		return 0;
	}
	unsigned char *gathered = realloc(server->gathered, n);

	if (!gathered) {
		return -ENOMEM;
	}
	server->gathered = gathered;
	server->n_room = n;
	return 0;
}

static int gather(struct ws_connection *connection, struct sv text)
{
	struct ws_server *server = connection->server;

	if (server->gathering != connection) {
		flush(server);
	}
	int r = make_room(server, LWS_PRE + server->n_gathered + FRAME_HEAD_MAX + text.n);

	if (r < 0) {
		return r;
	}
	unsigned char *at = server->gathered + LWS_PRE + server->n_gathered;
	size_t n_head = frame_head_write(
		(struct frame_head){.opcode = FRAME_TEXT, .n_payload = text.n}, at);

	memcpy(at + n_head, text.data, text.n);
	server->gathering = connection;
	server->n_gathered += n_head + text.n;
	if (server->n_gathered >= GATHERED_MAX) {
		flush(server);
	}
	return 0;
}

int ws_send(struct ws_connection *connection, struct sv text)
{
	if (connection->close_status) {
		return 0;
	}
	if (STAILQ_EMPTY(&connection->queue) && !is_blocked(connection)) {
		return gather(connection, text);
	}
	struct frame *frame = malloc(sizeof(*frame) + text.n);

	if (!frame) {
		return -ENOMEM;
	}
	frame->n = text.n;
	memcpy(frame->data, text.data, text.n);
	STAILQ_INSERT_TAIL(&connection->queue, frame, in_queue);
	connection->n_queued += text.n;
	connection->congested = connection->congested || connection->n_queued > WS_HIGH_WATER;
	lws_callback_on_writable(connection->wsi);
	return 0;
}

/* Sends the close frame once no messages are queued before it. libwebsockets could send it by
 * itself, but Debian's build of 4.1.6 closes such a connection twice in a row, and the second time
 * it drops the connection before the frame is sent. */
static void send_close(struct ws_connection *connection)
{
	unsigned char frame[LWS_PRE + CLOSE_FRAME_SIZE] = {0};

	flush(connection->server);
	if (connection->close_sent || !STAILQ_EMPTY(&connection->queue) || is_blocked(connection)) {
		return;
	}
	connection->close_sent = true;
	frame[LWS_PRE] = 0x88; /* RFC 6455, 5.5.1: final, opcode 8; then length and status */
	frame[LWS_PRE + 1] = CLOSE_FRAME_SIZE - 2;
	frame[LWS_PRE + 2] = (unsigned char)(connection->close_status >> 8);
	frame[LWS_PRE + 3] = (unsigned char)(connection->close_status & 0xff);
	lws_write(connection->wsi, frame + LWS_PRE, CLOSE_FRAME_SIZE, LWS_WRITE_RAW);
	/* Reading may be paused, but the client's close frame must be received. */
	lws_rx_flow_control(connection->wsi, 1);
}

void ws_close(struct ws_connection *connection, enum ws_close_status status)
{
	if (connection->close_status == 0) {
		connection->close_status = status;
		/* Starts now, not when the close frame is sent: a client that no longer reads would
		 * never get that far. */
		lws_set_timeout(connection->wsi, PENDING_TIMEOUT_CLOSE_ACK,
				(int)connection->server->options.timeout_s);
		send_close(connection);
		lws_callback_on_writable(connection->wsi);
	}
}

void ws_set_deadline(struct ws_connection *connection, unsigned seconds)
{
	if (!connection->close_status) {
		lws_set_timeout(connection->wsi,
				seconds ? PENDING_TIMEOUT_USER_REASON_BASE : NO_PENDING_TIMEOUT,
				(int)seconds);
	}
}

bool ws_is_congested(const struct ws_connection *connection)
{
	return connection->congested;
}

size_t ws_waiting(const struct ws_connection *connection)
{
	return connection->n_queued;
}

void ws_pause(struct ws_connection *connection, bool pause)
{
	if (connection->close_sent) {
		return;
	}
	lws_rx_flow_control(connection->wsi, pause ? 0 : 1);
}

/* Callbacks from libwebsockets. */

static int on_established(struct lws *wsi, struct ws_connection **slot)
{
	struct ws_server *server = server_of(wsi);
	struct adoption *adoption = lws_get_opaque_user_data(wsi);
	struct ws_connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		return -1;
	}
	connection->server = server;
	connection->wsi = wsi;
	STAILQ_INIT(&connection->queue);
	if (!adoption || server->options.opened(server->options.userdata, connection,
						adoption->request, &connection->session) < 0) {
		free(connection);
		return -1;
	}
	*slot = connection;
	return 0;
}

static void on_receive(struct ws_connection *connection, const char *data, size_t n)
{
	struct lws *wsi = connection->wsi;
	bool final = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;

	if (connection->close_status == 0) {
		connection->server->options.piece(connection->session, data, n, final,
						  !lws_frame_is_binary(wsi));
	}
}

/* Sends the queued messages. A nonzero result closes the connection. */
static int on_writable(struct ws_connection *connection)
{
	struct frame *frame;

	while (!is_blocked(connection) && (frame = STAILQ_FIRST(&connection->queue))) {
		STAILQ_REMOVE_HEAD(&connection->queue, in_queue);
		connection->n_queued -= frame->n;
		int r = lws_write(connection->wsi, frame->data, frame->n, LWS_WRITE_TEXT);

		free(frame);
		if (r < 0) {
			return -1;
		}
	}
	if (connection->congested && connection->n_queued <= WS_LOW_WATER) {
		connection->congested = false;
		connection->server->options.drained(connection->session);
	}
	if (!STAILQ_EMPTY(&connection->queue) || is_blocked(connection)) {
		lws_callback_on_writable(connection->wsi);
		return 0;
	}
	if (connection->close_status) {
		send_close(connection);
	}
	return 0;
}

/* The client sent a close frame. A nonzero result closes the connection at once: that is right when
 * it answers ours. */
static int on_peer_close(struct ws_connection *connection)
{
	connection->clean = true;
	return connection->close_sent ? -1 : 0;
}

static void on_closed(struct ws_connection *connection)
{
	struct frame *frame;

	if (connection->server->gathering == connection) {
		connection->server->gathering = NULL;
		connection->server->n_gathered = 0;
	}
	connection->server->options.closed(connection->session, connection->clean);
	while ((frame = STAILQ_FIRST(&connection->queue))) {
		STAILQ_REMOVE_HEAD(&connection->queue, in_queue);
		free(frame);
	}
	free(connection);
}

static void on_destroyed(struct lws *wsi)
{
	struct ws_server *server = server_of(wsi);
	struct adoption *adoption = lws_get_opaque_user_data(wsi);

	if (adoption) {
		lws_set_opaque_user_data(wsi, NULL);
		server->options.released(server->options.userdata, adoption->request);
		free(adoption);
	}
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t n)
{
	struct ws_connection **slot = user;
	/* NULL before the WebSocket is open. There is no slot, either, if libwebsockets ran out of
	 * memory. */
	struct ws_connection *connection = slot ? *slot : NULL;

	switch (reason) {
	case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
		lws_set_opaque_user_data(wsi, server_of(wsi)->adopting);
		server_of(wsi)->adopting = NULL;
		return 0;
	case LWS_CALLBACK_ESTABLISHED:
		return on_established(wsi, slot);
	case LWS_CALLBACK_RECEIVE:
		on_receive(connection, in, n);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return connection ? on_writable(connection) : 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return connection ? on_peer_close(connection) : 0;
	case LWS_CALLBACK_CLOSED:
		if (connection) {
			on_closed(connection);
			*slot = NULL;
		}
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		on_destroyed(wsi);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{
		.name = "xmpp",
		.callback = on_event,
		.per_session_data_size = sizeof(struct ws_connection *),
		.rx_buffer_size = WS_RECEIVE_SIZE,
		.tx_packet_size = WRITE_MAX,
	},
	{.name = NULL},
};

/* If libwebsockets runs out of memory during a handshake, it leaks the descriptor and a half-made
 * connection, and lws_context_destroy() then waits for that connection forever. So the memory that
 * a handshake needs is set aside beforehand; without it, the connection is refused. */
static bool has_reserve(struct ws_server *server)
{
	if (!server->reserve) {
		server->reserve = malloc(ADOPTION_RESERVE);
	}
	return server->reserve;
}

static void give_reserve(struct ws_server *server)
{
	free(server->reserve);
	server->reserve = NULL;
}

void ws_server_adopt(struct ws_server *server, int fd, struct sv handshake, void *request)
{
	struct adoption *adoption = has_reserve(server) ? malloc(sizeof(*adoption)) : NULL;

	if (!adoption) {
		close(fd);
		server->options.released(server->options.userdata, request);
		return;
	}
	adoption->request = request;
	server->adopting = adoption;
	give_reserve(server);
	/* Performs the handshake, and so calls `opened`, before it returns. */
	lws_adopt_socket_vhost_readbuf(server->vhost, fd, handshake.data, handshake.n);
	(void)has_reserve(server);
	if (server->adopting) {
		/* It failed before there was a connection that could be reported as destroyed. */
		server->adopting = NULL;
		server->options.released(server->options.userdata, request);
		free(adoption);
	}
}

int ws_server_new(const struct ws_server_options *options, struct ws_server **ret_server)
{
	struct ws_server *server = calloc(1, sizeof(*server));
	void *loops[1];

	if (!server) {
		return -ENOMEM;
	}
	server->options = *options;
	server->idle_policy.secs_since_valid_ping = (uint16_t)options->ping_interval_s;
	server->idle_policy.secs_since_valid_hangup = (uint16_t)(options->ping_interval_s * 2);
	loops[0] = options->loop;
	/* Its log uses one buffer for all threads and reports every adoption as an error. */
	lws_set_log_level(0, NULL);
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
		.foreign_loops = loops,
		.user = server,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
		.max_http_header_data = HEADER_SIZE,
		.max_http_header_pool = HEADER_POOL,
		.timeout_secs = options->timeout_s,
		.retry_and_idle_policy = options->ping_interval_s ? &server->idle_policy : NULL,
		.vhost_name = "doab",
	};

	server->context = lws_create_context(&info);
	if (server->context) {
		server->vhost = lws_create_vhost(server->context, &info);
	}
	if (!server->vhost) {
		if (server->context) {
			lws_context_destroy(server->context);
		}
		free(server);
		return -ENOMEM;
	}
	uv_prepare_init(options->loop, &server->prepare);
	uv_check_init(options->loop, &server->check);
	uv_prepare_start(&server->prepare, on_prepare);
	uv_check_start(&server->check, on_check);
	uv_unref((uv_handle_t *)&server->prepare);
	uv_unref((uv_handle_t *)&server->check);
	*ret_server = server;
	return 0;
}

void ws_server_stop(struct ws_server *server)
{
	if (server && !server->stopping) {
		server->stopping = true;
		flush(server);
		uv_close((uv_handle_t *)&server->prepare, NULL);
		uv_close((uv_handle_t *)&server->check, NULL);
		lws_context_destroy(server->context);
	}
}

struct ws_server *ws_server_free(struct ws_server *server)
{
	if (!server) {
		return NULL;
	}
	lws_context_destroy(server->context);
	free(server->gathered);
	free(server->reserve);
	free(server);
	return NULL;
}
