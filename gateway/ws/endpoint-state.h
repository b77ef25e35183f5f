/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the WebSocket endpoint. Private to gateway/ws; users include endpoint.h.
 *
 * endpoint.c  sockets during the handshake; the list of sessions
 * session.c   a session: from <open/> to <close/>
 */
#include <sys/queue.h>

#include "gateway/ws/endpoint.h"
#include "gateway/ws/framing.h"
#include "gateway/ws/server.h"
#include "gateway/session-log.h"

enum {
	/* Length of a session's name in the log. Knowing the name gives no access to the
	 * session. */
	WS_SESSION_NAME_LENGTH = 6,
};

struct ws_session {
	LIST_ENTRY(ws_session) in_endpoint;
	struct ws_endpoint *endpoint;
	struct ws_connection *connection;
	struct framing framing;
	struct link *link;
	struct address client;
	struct budget_charge charge; /* for what it holds until the client has logged in */
	char domain[DOMAIN_MAX + 1];
	struct admission_seats seats;
	struct session_log log;
	char *lang;     /* from the client's <open/>, for the gateway's */
	bool is_ready;  /* the server's stream header has arrived */
	bool open_sent; /* the gateway's <open/> is sent; after a restart: the new stream's */
	/* the server's features are not there yet: the client is not read until they are */
	bool awaits_features;
	bool link_congested; /* the server does not keep up: the client is not read */
	bool paused_server;  /* the client does not keep up: the server is not read */
	bool over;           /* <close/> is sent: nothing may follow */
};

struct ws_endpoint {
	struct worker_env *env;
	struct ws_server *server;
	LIST_HEAD(, ws_session) sessions;
	size_t n_sockets; /* not released yet */
	struct xml_scan_options scan_options;
	struct buffer scratch; /* the message being written */
};

/* Creates the session of a WebSocket that has just opened. Returns 0 or a negative errno. */
_must_check_ int ws_session_new(struct ws_endpoint *endpoint, struct ws_connection *connection,
				const struct address *client, struct ws_session **ret_session);

/* Tells the client that the gateway is shutting down, and ends the session. */
void ws_session_shut(struct ws_session *session);

/* Callbacks of the WebSocket server (ws/server.h); ws_session_on_closed() frees the session. */
void ws_session_on_piece(void *userdata, const char *data, size_t n, bool final, bool text);
void ws_session_on_drained(void *userdata);
void ws_session_on_closed(void *userdata, bool clean);
