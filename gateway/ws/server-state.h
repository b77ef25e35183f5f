/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the WebSocket server. Private to gateway/ws; users include server.h.
 *
 * server.c   connections: from the handshake's answer to the end; deadlines
 * receive.c  what the client sends
 * send.c     what it is sent
 *
 * A connection is only freed by server.c, at the end of a callback of its wire.
 */
#include <sys/queue.h>

#include "common/buffer.h"
#include "gateway/http/coder.h"
#include "gateway/ws/frame-head.h"
#include "gateway/ws/frames.h"
#include "gateway/ws/server.h"

enum {
	/* Bytes that are read at once, into a buffer of the server. */
	WS_READ_SIZE = WIRE_PORTION,
};

struct ws_connection {
	LIST_ENTRY(ws_connection) in_server;
	struct ws_server *server;
	struct wire *wire;
	void *session; /* NULL once it has been told that the connection has ended */
	struct frames frames;
	struct buffer held;  /* pieces for a paused session, each after a struct held_piece */
	struct buffer coded; /* a compressed message, until its end */
	struct buffer plain; /* an expanded one of which not all is delivered; ahead of `held` */
	size_t n_expanded;   /* bytes of messages that were expanded in this turn */
	struct buffer pong;  /* the payload of the last ping that could not be answered yet */
	size_t n_answer;     /* bytes of the answer to the handshake, ahead of all frames */
	size_t n_saved;      /* bytes that compression has saved since the queue was empty */
	unsigned peer_status;
	bool is_coded : 1;
	bool is_text : 1; /* that of `plain` */
	bool owes_pong : 1;
	bool is_paused : 1;
	bool is_stopped : 1; /* enough is held: the client is not read */
	bool has_queued : 1; /* more than a little has waited, and is not all sent */
	bool is_congested : 1;
	bool has_deadline : 1; /* the session's */
	bool awaits_pong : 1;
	bool has_sent_close : 1;
	bool is_starved : 1;      /* there was no memory for a control frame */
	bool peer_has_closed : 1; /* the client's close frame has come; `peer_status` is valid */
	bool peer_has_failed : 1; /* it broke a rule: no frame of it can be read any more */
	bool is_hung_up : 1;      /* nothing more comes */
	bool is_lost : 1;         /* the connection cannot be used any more */
	bool is_draining : 1;     /* the deadline for delivering what is held is set */
	bool returns_unsent : 1;  /* ws_return_unsent(): something still waits */
};

struct ws_server {
	struct ws_server_options options;
	LIST_HEAD(, ws_connection) connections;
	struct coder *coder;   /* made when the first connection needs it */
	struct buffer joined;  /* a message to be compressed */
	struct buffer scratch; /* the same, compressed */
	char input[WS_READ_SIZE];
};

/* Reads and handles what has arrived, and what is held for a session that is not paused. */
void ws_receive(struct ws_connection *connection);

/* There is no memory for what the connection needs: closes it. */
void ws_fail_memory(struct ws_connection *connection);

/* Sends a control frame of at most 125 bytes. Without memory the connection is closed. */
void ws_send_control(struct ws_connection *connection, enum frame_opcode opcode, struct sv payload);

/* Answers a ping: at once, or, of those that come while the client does not read, the last. */
void ws_send_pong(struct ws_connection *connection, struct sv payload);

/* Sends the close frame, if none was sent. */
void ws_send_close(struct ws_connection *connection, unsigned status, struct sv reason);

/* Bytes that had to wait were sent. */
void ws_on_written(struct ws_connection *connection);
