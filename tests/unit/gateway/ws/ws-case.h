/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The WebSocket server on a real hub, with a client at the other end of a socket pair. Included
 * after cmocka.h.
 *
 * told   what the session was told, a line each
 * heard  the frames that the client has got, as a text
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/wire/state.h"
#include "gateway/ws/server.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/ws/frames-case.h"

#define HANDSHAKE "101;"

/* Without memory, no note can be taken of it. */
#define NOTE(...)                                   \
	do {                                        \
		if (!one.is_silent) {               \
			LOG(&one.log, __VA_ARGS__); \
		}                                   \
	} while (0)

enum {
	TURNS = 20,
	MESSAGE_MAX = 4096,
	TIMEOUT_S = 30,
	INTERVAL_S = 10,
	TEXT = FIN | FRAME_TEXT,
	PING = FIN | FRAME_PING,
	CLOSE = FIN | FRAME_CLOSE,
};

static struct {
	uv_loop_t loop;
	struct wire_hub *hub;
	struct ws_server *server;
	struct ws_connection *connection;
	struct address peer;
	int theirs;
	struct buffer message; /* the pieces so far */
	struct buffer log;     /* what the session was told */
	struct buffer heard;   /* what the client got and was not looked at yet */
	unsigned n_held, n_closed_wires;
	bool refuses, is_silent;
	bool pauses; /* with each message */
	bool pauses_when_held;
	size_t message_max;
	size_t n_live; /* blocks of memory, before all this */
} one;

/* The session: logs what it is told. */

static inline int on_opened(void *userdata, struct ws_connection *connection, void **ret_session)
{
	(void)userdata;
	if (one.refuses) {
		return -EPERM;
	}
	one.connection = connection;
	*ret_session = &one;
	return 0;
}

static inline void on_piece(void *session, const char *data, size_t n, bool final, bool text)
{
	assert_ptr_equal(session, &one);
	if (one.is_silent) {
		return;
	}
	assert_int_equal(buffer_append(&one.message, data, n), 0);
	if (final && one.message.n > 100) {
		NOTE("%s of %zu\n", text ? "text" : "binary", one.message.n);
	} else if (final) {
		NOTE("%s %.*s\n", text ? "text" : "binary", SV_ARGS(buffer_sv(&one.message)));
	}
	if (final) {
		buffer_deinit(&one.message);
	}
	if (final && one.pauses) {
		ws_pause(one.connection, true);
	}
}

static inline size_t message_max(void *session)
{
	assert_ptr_equal(session, &one);
	return one.message_max;
}

static inline void on_too_large(void *session)
{
	assert_ptr_equal(session, &one);
	NOTE("too large\n");
	ws_close(one.connection, WS_CLOSE_TOO_LARGE, SV_EMPTY);
}

static inline void on_drained(void *session)
{
	assert_ptr_equal(session, &one);
	NOTE("drained\n");
}

static inline void on_emptied(void *session)
{
	assert_ptr_equal(session, &one);
	NOTE("emptied\n");
}

static inline void on_held(void *session)
{
	assert_ptr_equal(session, &one);
	one.n_held++;
	if (one.pauses_when_held) {
		ws_pause(one.connection, true);
	}
}

static inline void on_late(void *session)
{
	assert_ptr_equal(session, &one);
	NOTE("late\n");
}

static inline void on_failed(void *session, const char *rule)
{
	assert_ptr_equal(session, &one);
	NOTE("failed%s\n", rule ? "" : " without memory");
}

static inline void on_closed(void *session, struct sv unsent)
{
	assert_ptr_equal(session, &one);
	if (unsent.n) {
		NOTE("unsent %.*s\n", SV_ARGS(unsent));
	}
	NOTE("closed\n");
}

static inline void on_released(void *userdata)
{
	(void)userdata;
	one.connection = NULL;
	NOTE("released\n");
}

static inline void on_closed_wire(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	one.n_closed_wires++;
}

/* The two ends. */

/* No second passes by itself. */
static inline int open_server(void)
{
	const struct wire_hub_options hub = {
		.loop = &one.loop, .closed = on_closed_wire, .second_ms = 24 * 3600 * 1000};
	const struct ws_server_options options = {
		.timeout_s = TIMEOUT_S,
		.ping_interval_s = INTERVAL_S,
		.opened = on_opened,
		.piece = on_piece,
		.message_max = message_max,
		.too_large = on_too_large,
		.drained = on_drained,
		.emptied = on_emptied,
		.held = on_held,
		.late = on_late,
		.failed = on_failed,
		.closed = on_closed,
		.released = on_released,
	};
	int r = wire_hub_new(&hub, &one.hub);

	return r < 0 ? r : ws_server_new(&options, &one.server);
}

static inline void close_server(void)
{
	ws_server_stop(one.server);
	one.server = ws_server_free(one.server);
	wire_hub_close(one.hub);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	one.hub = wire_hub_free(one.hub);
	if (one.theirs >= 0) {
		close(one.theirs);
		one.theirs = -1;
	}
}

static inline void turn(void)
{
	for (int i = 0; i < TURNS; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
}

/* Makes a connection on a socket of the kernel that works without the network. @early has arrived
 * with the handshake. Returns 0 or -ENOMEM. */
static inline int adopt(bool is_coded, struct sv early)
{
	struct wire *wire;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	one.theirs = fds[1];
	/* Room for more than is read at once. */
	assert_int_equal(
		setsockopt(one.theirs, SOL_SOCKET, SO_SNDBUF, &(int){1 << 20}, sizeof(int)), 0);
	assert_int_equal(send(one.theirs, early.data, early.n, 0), early.n);
	int r = wire_new(fds[0], &one.peer, &wire);

	if (r < 0) {
		close(fds[0]);
		return r;
	}
	r = wire_join(wire, one.hub);
	if (r < 0) {
		wire_close(wire);
		return r;
	}
	ws_server_adopt(
		one.server,
		&(struct ws_adoption){.wire = wire, .is_coded = is_coded, .answer = SV(HANDSHAKE)});
	return 0;
}

static inline void say_bytes(struct sv bytes)
{
	(void)!send(one.theirs, bytes.data, bytes.n, MSG_NOSIGNAL);
	turn();
}

static inline void say_sv(unsigned first, struct sv payload)
{
	struct buffer bytes = BUFFER_INIT;

	case_add(&bytes, first, payload);
	say_bytes(buffer_sv(&bytes));
	buffer_deinit(&bytes);
}

static inline void say(unsigned first, const char *payload)
{
	say_sv(first, sv_from(payload));
}

static inline void hear(void)
{
	char bytes[8192];
	ssize_t n;

	while ((n = recv(one.theirs, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		assert_int_equal(buffer_append(&one.heard, bytes, (size_t)n), 0);
		turn();
	}
}

static inline const char *name_of(unsigned opcode)
{
	return opcode == FRAME_TEXT  ? "text"
	     : opcode == FRAME_PING  ? "ping"
	     : opcode == FRAME_PONG  ? "pong"
	     : opcode == FRAME_CLOSE ? "close"
				     : "other";
}

static inline void tell_frame(char *text, size_t size, unsigned first, struct sv payload)
{
	size_t at = strlen(text);
	bool is_close = (first & 0x0f) == FRAME_CLOSE && payload.n >= 2;
	unsigned status =
		is_close ? (unsigned char)payload.data[0] << 8 | (unsigned char)payload.data[1] : 0;

	assert_true(first & FIN);
	if (payload.n > 200) {
		snprintf(text + at, size - at, "%s%s of %zu", at ? " " : "", name_of(first & 0x0f),
			 payload.n);
	} else if (is_close) {
		snprintf(text + at, size - at, "%sclose %u %.*s", at ? " " : "", status,
			 SV_ARGS(sv_skip(payload, 2)));
	} else {
		snprintf(text + at, size - at, "%s%s %.*s", at ? " " : "", name_of(first & 0x0f),
			 SV_ARGS(payload));
	}
}

/* The whole frames that the client has got since the last call, as a text: as many as fit. */
static inline const char *heard(void)
{
	static char text[4096];

	hear();
	text[0] = '\0';
	while (one.heard.n >= 2 && strlen(text) < sizeof(text) - 256) {
		const unsigned char *head = (const unsigned char *)buffer_sv(&one.heard).data;
		size_t n_head = 2, n = head[1];

		assert_true(n < 127);
		if (n == 126 && one.heard.n >= 4) {
			n = (size_t)head[2] << 8 | head[3];
			n_head = 4;
		}
		if (one.heard.n < n_head + n) {
			break;
		}
		tell_frame(text, sizeof(text), head[0],
			   sv_first(sv_skip(buffer_sv(&one.heard), n_head), n));
		buffer_consume(&one.heard, n_head + n);
	}
	return text;
}

/* What the session was told since the last call. */
static inline const char *told(void)
{
	static char text[4096];

	snprintf(text, sizeof(text), "%.*s", SV_ARGS(buffer_sv(&one.log)));
	buffer_clear(&one.log);
	return text;
}

static inline void skip_handshake(void)
{
	turn();
	hear();
	assert_true(sv_starts_with(buffer_sv(&one.heard), SV(HANDSHAKE)));
	buffer_consume(&one.heard, strlen(HANDSHAKE));
}

static inline void pass(unsigned seconds)
{
	while (seconds--) {
		wire_deadline_tick(one.hub);
		turn();
	}
}

/* Whether the server has closed the connection. */
static inline bool is_cut(void)
{
	char byte;

	hear();
	return recv(one.theirs, &byte, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN;
}

static inline int setup_bare(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.n_live = failmalloc_n_live();
	one.theirs = -1;
	one.message_max = MESSAGE_MAX;
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	assert_int_equal(open_server(), 0);
	return 0;
}

static inline void open_one(void)
{
	assert_int_equal(adopt(false, SV_EMPTY), 0);
	skip_handshake();
}

static inline int setup(void **state)
{
	setup_bare(state);
	open_one();
	return 0;
}

static inline int setup_coded(void **state)
{
	setup_bare(state);
	assert_int_equal(adopt(true, SV_EMPTY), 0);
	skip_handshake();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	close_server();
	assert_int_equal(one.n_closed_wires, 1);
	assert_null(one.connection);
	buffer_deinit(&one.message);
	buffer_deinit(&one.log);
	buffer_deinit(&one.heard);
	assert_int_equal(failmalloc_n_live(), one.n_live);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	return 0;
}

static inline void expect_end(const char *log, const char *frames)
{
	assert_string_equal(told(), log);
	assert_string_equal(heard(), frames);
	assert_true(is_cut());
	/* The end of the client's side is the end of it all. */
	shutdown(one.theirs, SHUT_WR);
	turn();
}
