/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of the WebSocket endpoint. Private to gateway/ws; who uses it reads endpoint.h.
 *
 * endpoint.c  sockets on their way to become sessions; the list of sessions
 * session.c   a session: from <open/> to <close/>
 */
#include <sys/queue.h>

#include "gateway/ws/endpoint.h"
#include "gateway/ws/framing.h"
#include "gateway/ws/server.h"
#include "gateway/session-log.h"

enum {
	/* Names a session in the log; it opens nothing. */
	WS_SESSION_NAME_LENGTH = 6,
};

struct ws_session {
	LIST_ENTRY(ws_session) in_endpoint;
	struct ws_endpoint *endpoint;
	struct ws_connection *connection;
	struct framing framing;
	struct link *link;
	struct address client;
	char domain[DOMAIN_MAX + 1];
	struct admission_seats seats;
	struct session_log log;
	char *lang;         /* of the client's <open/>, for an <open/> of ours */
	bool is_ready;      /* its server's header has come */
	bool open_sent;     /* the <open/> of this stream (after a restart: of the new one) is out */
	bool awaits_features; /* the stream is not the client's yet: what it sends early waits in its socket */
	bool link_congested;  /* the server does not keep up: likewise */
	bool paused_server;   /* the client does not keep up */
	bool over;          /* <close/> is out: nothing more is said */
};

struct ws_endpoint {
	struct worker_env *env;
	struct ws_server *server;
	LIST_HEAD(, ws_session) sessions;
	size_t n_sockets; /* that are not released yet */
	struct xml_scan_options scan_options;
	struct buffer scratch; /* the message that is being written */
};

/* Makes the session of a WebSocket that has just been opened. Returns 0 or a negative errno. */
_must_check_ int ws_session_new(struct ws_endpoint *endpoint, struct ws_connection *connection,
				const struct address *client, struct ws_session **ret_session);

/* Tells the client that the gateway is being shut down. */
void ws_session_shut(struct ws_session *session);

/* The server's callbacks for what happens to the connection; the last one frees the session. */
void ws_session_on_piece(void *userdata, const char *data, size_t n, bool final, bool text);
void ws_session_on_drained(void *userdata);
void ws_session_on_closed(void *userdata, bool clean);
