/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * WebSocket server of a worker: runs libwebsockets on the worker's loop. It is given sockets whose
 * handshake has already been checked (ws/upgrade.h). No type of libwebsockets appears here.
 *
 * connection  one WebSocket; it exists from `opened` until `closed`
 * piece       a part of a message, as it was received; not necessarily a WebSocket fragment
 */
#include <stdbool.h>
#include <uv.h>

#include "common/address.h"
#include "common/sv.h"

struct ws_server;
struct ws_connection;

enum {
	/* A connection is congested once more than WS_HIGH_WATER bytes are queued for a client that
	 * does not read, until no more than WS_LOW_WATER are. */
	WS_HIGH_WATER = 256 * 1024,
	WS_LOW_WATER = 32 * 1024,
	/* Size of each connection's receive buffer, in bytes. */
	WS_RECEIVE_SIZE = 2048,
};

enum ws_close_status {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_INTERNAL = 1011,
};

struct ws_server_options {
	uv_loop_t *loop;
	/* for the opening handshake, and for the client's answer to a close frame */
	unsigned timeout_s;
	/* 0: no pings; a client that does not answer within another interval is dropped */
	unsigned ping_interval_s;
	/* The WebSocket is open. @request is the argument of ws_server_adopt(). *ret_session is
	 * passed to the other callbacks of this connection. Returns 0, or a negative errno to close
	 * the connection at once (`closed` is then not called). */
	int (*opened)(void *userdata, struct ws_connection *connection, void *request,
		      void **ret_session);
	/* A piece of a message arrived; @final: the last one of the message. @text: not a binary
	 * message. */
	void (*piece)(void *session, const char *data, size_t n, bool final, bool text);
	/* The connection is no longer congested. */
	void (*drained)(void *session);
	/* The connection has ended and must not be used any more. @clean: after a closing
	 * handshake. */
	void (*closed)(void *session, bool clean);
	/* The descriptor given to ws_server_adopt() is closed, whether or not it became a
	 * WebSocket. */
	void (*released)(void *userdata, void *request);
	void *userdata;
};

/* @options is copied. Returns 0 or -ENOMEM. */
_must_check_ int ws_server_new(const struct ws_server_options *options,
			       struct ws_server **ret_server);

/* Closes all connections without a closing handshake; `closed` and `released` are called during the
 * next iterations of the loop. */
void ws_server_stop(struct ws_server *server);

/* Call after ws_server_stop(), when the loop has no active handles left. @server may be NULL.
 * Returns NULL. */
struct ws_server *ws_server_free(struct ws_server *server);

/* Takes ownership of the non-blocking socket @fd and serves it as if the client had sent @handshake
 * (upgrade_write()). @request must stay valid until `released`, which may be called before this
 * function returns. */
void ws_server_adopt(struct ws_server *server, int fd, struct sv handshake, void *request);

/* Sends @text as one message. Messages sent in the same iteration of the loop go out in one write;
 * what the kernel does not accept is queued. Returns 0 or -ENOMEM. */
_must_check_ int ws_send(struct ws_connection *connection, struct sv text);

/* Starts the closing handshake once the queued messages are sent. Later calls of ws_send() do
 * nothing, and what the client sends is discarded. */
void ws_close(struct ws_connection *connection, enum ws_close_status status);

/* Closes the connection in @seconds from now; 0 cancels the deadline. */
void ws_set_deadline(struct ws_connection *connection, unsigned seconds);

bool ws_is_congested(const struct ws_connection *connection);

/* Bytes that wait for a client that does not read. */
size_t ws_waiting(const struct ws_connection *connection);

/* Stops (@pause) or resumes reading from the client. */
void ws_pause(struct ws_connection *connection, bool pause);
