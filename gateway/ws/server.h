/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * WebSocket on a worker: libwebsockets on the worker's loop, fed with sockets whose handshake has been judged (ws/upgrade.h).
 * None of its types shows here.
 *
 * connection  one WebSocket; it lives from `opened` until `closed`
 * piece       a part of a message: what arrived at once
 */
#include <stdbool.h>
#include <uv.h>

#include "common/address.h"
#include "common/sv.h"

struct ws_server;
struct ws_connection;

enum {
	/* Bytes waiting for a client that does not read, above which ws_is_congested() says yes. */
	WS_HIGH_WATER = 256 * 1024,
	WS_LOW_WATER = 32 * 1024,
	/* Each connection has a buffer of this size for what it receives. */
	WS_RECEIVE_SIZE = 2048,
};

enum ws_close_status {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_INTERNAL = 1011,
};

struct ws_server_options {
	uv_loop_t *loop;
	unsigned timeout_s;       /* for the handshake, and for the client's part of closing */
	unsigned ping_interval_s; /* 0: none; a client that does not answer for another interval is dropped */
	/* The WebSocket is open. @request is what ws_server_adopt() was given. *ret_session: the owner's pointer for the other
	 * callbacks. Returns 0, or a negative errno to close it at once (`closed` does not follow). */
	int (*opened)(void *userdata, struct ws_connection *connection, void *request, void **ret_session);
	void (*piece)(void *session, const char *data, size_t n, bool final, bool text);
	/* The client reads again after having been congested. */
	void (*drained)(void *session);
	/* The connection is gone, @clean: by a closing handshake. Nothing may use it any more. */
	void (*closed)(void *session, bool clean);
	/* The descriptor given to ws_server_adopt() is closed, whether it ever became a WebSocket or not. */
	void (*released)(void *userdata, void *request);
	void *userdata;
};

/* @options is copied. Returns 0 or -ENOMEM. */
_must_check_ int ws_server_new(const struct ws_server_options *options, struct ws_server **ret_server);

/* Closes all connections without a word; `closed` and `released` run over the next turns of the loop. */
void ws_server_stop(struct ws_server *server);

/* After ws_server_stop() and when the loop has nothing left to do. NULL is fine. */
struct ws_server *ws_server_free(struct ws_server *server);

/* Serves the non-blocking socket @fd, the server's from now on, as if it had sent @handshake (upgrade_write()). @request is the
 * owner's until `released`, which may run within this call. */
void ws_server_adopt(struct ws_server *server, int fd, struct sv handshake, void *request);

/* Sends @text as one message; those of one turn of the loop go out in one write. Returns 0, -ENOMEM. What the kernel does not take
 * waits. */
_must_check_ int ws_send(struct ws_connection *connection, struct sv text);

/* Begins the closing handshake behind what waits. Nothing can be sent any more, and what comes is thrown away. */
void ws_close(struct ws_connection *connection, enum ws_close_status status);

/* Ends the connection in @seconds from now; 0: it need not end any more. */
void ws_set_deadline(struct ws_connection *connection, unsigned seconds);

bool ws_is_congested(const struct ws_connection *connection);

/* Stops and starts reading from the client. */
void ws_pause(struct ws_connection *connection, bool pause);
