/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What transport.c (making, writing, ending: calls from outside) and transport-turn.c (what the loop's turns do: reading, the
 * handshake, callbacks) share. Nobody else includes it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/buffer.h"
#include "gateway/upstream/channel.h"
#include "gateway/upstream/transport.h"

enum transport_state {
	TRANSPORT_CONNECTING,
	TRANSPORT_OPEN,
	TRANSPORT_HANDSHAKE, /* after the last bytes in clear */
	TRANSPORT_FINISHING, /* the owner has left */
	TRANSPORT_FAILED,    /* told; waits for transport_free() */
	TRANSPORT_CLOSED,    /* its handles are closing */
};

struct transport {
	uv_poll_t poll;
	uv_timer_t timer; /* bounds a state; in TRANSPORT_OPEN: the next turn, transport_plan_turn() */
	struct channel channel;
	struct buffer out;
	size_t n_clear; /* bytes of out that belong before the handshake */
	const struct transport_callbacks *callbacks;
	void *userdata;
	char *read_buffer;
	const char *broken; /* why nothing can be written any more; what is left to read comes first */
	enum transport_state state;
	int events;         /* what the poll handle waits for */
	int connect_error;  /* errno that connect(2) gave at once */
	unsigned n_handles; /* not closed yet */
	bool in_turn;       /* inside a turn, which sets the poll's events at their end */
	bool in_timer;
	bool paused;
	bool congested;
	bool ended;    /* the peer's end was told */
	bool fin_sent;
};

/* The timer's callback, in every state. */
void transport_on_timer(uv_timer_t *timer);

/* Makes the poll wait for what the state needs; inside a turn its end does that. Each change costs libuv two
 * epoll_ctl(2): only when something changes, and once a turn. */
void transport_update_poll(struct transport *transport);

/* Reads at the next turn without the socket's saying so: for bytes that are left inside TLS, and for a failure
 * that a call from outside has found. */
void transport_plan_turn(struct transport *transport);

/* Nothing can be written any more, because of @words: what waits is in vain. */
void transport_set_broken(struct transport *transport, const char *words);

/* Goes on with TRANSPORT_FINISHING; may free the transport. */
void transport_turn_finishing(struct transport *transport);
