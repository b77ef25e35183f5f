/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * WebSocket server of a worker: frames (ws/frames.h) on wires (wire/wire.h). It is given wires
 * whose handshake has already been checked (ws/upgrade.h).
 *
 * connection  one WebSocket; it exists from `opened` until `closed`
 * piece       a part of a message, as it was received; not necessarily a WebSocket fragment
 * coded       compressed (RFC 7692): each message on its own
 * paused      the session takes no messages now. The connection still reads a little, so that it
 *             sees pongs, the client's pings and the close frame, and holds the messages before
 *             them for the session
 * closing     the close frame is sent; what the client still sends is discarded until its own close
 *             frame or its end, but not longer than the deadline
 * unsent      messages that wait when the client closes or is gone: they are taken out of the
 *             queue, and the session gets them back. After our close frame that holds only if the
 *             session asks for it (ws_return_unsent()); else they are sent as long as the client
 *             reads. Those that the kernel has taken are not among them, whatever becomes of them:
 *             nobody knows
 */
#include <stdbool.h>

#include "common/sv.h"
#include "gateway/wire/wire.h"

struct ws_server;
struct ws_connection;

enum {
	/* A connection is congested once more than WS_HIGH_WATER bytes are queued for a client that
	 * does not read, until no more than WS_LOW_WATER are. The bytes of compressed messages
	 * count as they were before, and until none is queued: they may have to be expanded again,
	 * and a server could otherwise leave megabytes in few of them. */
	WS_HIGH_WATER = 256 * 1024,
	WS_LOW_WATER = 32 * 1024,
	/* Bytes of messages that are read for a paused session. Above it the client is not read at
	 * all: it could otherwise fill the memory while its server does not read. */
	WS_HELD_MAX = 16 * 1024,
	/* RFC 6455, 5.5 and 5.5.1: a control frame of 125 bytes, without the status. */
	WS_REASON_MAX = 123,
};

/* RFC 6455, 7.4.1. */
enum ws_close_status {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_UNSUPPORTED = 1003, /* a binary message */
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_LARGE = 1009,
	WS_CLOSE_INTERNAL = 1011,
};

struct ws_server_options {
	/* for the client's answer to a close frame, and to read what was sent before it */
	unsigned timeout_s;
	/* Seconds without a byte from the client after which it is sent a ping. 0: no pings. A
	 * client that does not answer within another interval is dropped. */
	unsigned ping_interval_s;
	/* The WebSocket is open, within ws_server_adopt(). *ret_session is passed to the other
	 * callbacks of this connection. Returns 0, or a negative errno to close the connection at
	 * once (`closed` is then not called). */
	int (*opened)(void *userdata, struct ws_connection *connection, void **ret_session);
	/* A piece of a message arrived; @is_final: the last one of the message. @is_text: not a
	 * binary message. */
	void (*piece)(void *session, const char *data, size_t n, bool is_final, bool is_text);
	/* The largest message that the session takes now, in bytes. A compressed message is
	 * expanded up to that, and comes as one piece. */
	size_t (*message_max)(void *session);
	/* A compressed message is larger than that. The session closes the connection. */
	void (*too_large)(void *session);
	/* The connection is no longer congested. */
	void (*drained)(void *session);
	/* After ws_return_unsent(): everything was sent, and nothing will come back. */
	void (*emptied)(void *session);
	/* What ws_held() returns may have changed. */
	void (*held)(void *session);
	/* The deadline of ws_set_deadline() has passed. */
	void (*late)(void *session);
	/* The client broke @rule of the WebSocket protocol, in words; NULL: out of memory. The
	 * close frame is sent after the call, in any case; `closed` follows later. */
	void (*failed)(void *session, const char *rule);
	/* The connection has ended and must not be used any more. @unsent: the texts of the unsent
	 * messages, one behind the other, borrowed; those that there was no memory for are
	 * missing. */
	void (*closed)(void *session, struct sv unsent);
	/* The wire given to ws_server_adopt() is gone, whether or not it became a WebSocket. */
	void (*released)(void *userdata);
	void *userdata;
};

/* @options is copied. Returns 0 or -ENOMEM. */
_must_check_ int ws_server_new(const struct ws_server_options *options,
			       struct ws_server **ret_server);

/* Replaces the interval; each connection follows with its next byte or ping. 0: no pings. */
void ws_server_set_ping_interval(struct ws_server *server, unsigned interval_s);

/* Closes all connections without a closing handshake: `closed` and `released` are called. @server
 * may be NULL. */
void ws_server_stop(struct ws_server *server);

/* Call after ws_server_stop(). @server may be NULL. Returns NULL. */
struct ws_server *ws_server_free(struct ws_server *server);

struct ws_adoption {
	struct wire *wire; /* taken; it is in a hub, and what was read is consumed */
	bool is_coded;     /* messages may be compressed (RFC 7692), without context takeover */
	struct sv answer;  /* the response to the handshake */
};

/* Answers the handshake and serves the wire. `released` may be called before it returns. */
void ws_server_adopt(struct ws_server *server, const struct ws_adoption *adoption);

/* Sends @text and @rest, either of which may be empty, as one message. Short messages sent in the
 * same iteration of the loop go out in one write; what the kernel does not accept is queued.
 * Returns 0, or -ENOMEM: nothing of it is sent. The client would miss a message: the session closes
 * the connection. */
_must_check_ int ws_send(struct ws_connection *connection, struct sv text, struct sv rest);

/* Starts the closing handshake. @reason, UTF-8, is cut to WS_REASON_MAX bytes. Without memory the
 * close frame says WS_CLOSE_INTERNAL and no more. Later calls of ws_send() do nothing, and what the
 * client sends is discarded. */
void ws_close(struct ws_connection *connection, enum ws_close_status status, struct sv reason);

/* Ends the connection as if the client had: what waits for it goes back to the session if that
 * wants it. From the loop, never from this call. */
void ws_cut(struct ws_connection *connection);

/* `late` is called in @seconds from now; 0 cancels the deadline. No pings are sent before it. */
void ws_set_deadline(struct ws_connection *connection, unsigned seconds);

bool ws_is_congested(const struct ws_connection *connection);

/* Whether anything waits to be sent. */
bool ws_is_waiting(const struct ws_connection *connection);

/* The session ends, and wants back what is unsent when the connection ends. To be called while
 * something waits, in the callback in which ws_close() is called. The client has timeout_s to read,
 * also if it has ended its side. */
void ws_return_unsent(struct ws_connection *connection);

/* Bytes of memory that the connection holds: what waits for a client that does not read, messages
 * for a paused session, and an incomplete frame. */
size_t ws_held(const struct ws_connection *connection);

/* Pauses (@is_paused) or resumes the session. */
void ws_pause(struct ws_connection *connection, bool is_paused);
