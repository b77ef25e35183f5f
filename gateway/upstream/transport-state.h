/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Shared by transport.c (calls of the owner), transport-turn.c (what happens in a turn of the
 * loop: reading, handshake, callbacks), transport-socket.c (what the socket is to be ready for, how
 * much is read, and writing), transport-tunnel.c (the talk with a proxy), transport-step.c (a
 * handshake with a helper), transport-fail.c (why a connection ended) and transport-end.c (the end,
 * once the owner is gone). Private to these.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/buffer.h"
#include "common/helper.h"
#include "common/timeout.h"
#include "common/turn.h"
#include "gateway/upstream/channel.h"
#include "gateway/upstream/transport.h"

enum {
	/* The poll tells in each iteration that a transport is ready which waits for its turn.
	 * Where hundreds wait, that takes longer than what they wait for. To stop the poll and to
	 * start it again costs as much as so many reports. */
	TRANSPORT_REPORTS_MAX = 4,
	/* If the gateway offers the server a session, the loop reads up to this many bytes of the
	 * answer itself. The helper reads longer answers: to hand over a connection takes 50 us of
	 * CPU.
	 * A server that resumes the session sends up to 400 bytes, which take 0.1 ms. Another
	 * server could send certificates that take ten milliseconds, but so few bytes hold at most
	 * one certificate of an elliptic curve. */
	TRANSPORT_RESUMED_MAX = 512,
	/* If a server has sent a part of its handshake messages, and does not send the rest within
	 * so many milliseconds, the part counts as held (transport_held()). Usual servers need one
	 * or two round trips. Without this delay, sessions that open at the same time would exceed
	 * the budget. */
	TRANSPORT_FLIGHT_MS = 1000,
};

enum transport_state {
	TRANSPORT_CONNECTING,
	TRANSPORT_TUNNEL, /* the proxy is connected */
	TRANSPORT_OPEN,
	TRANSPORT_HANDSHAKE, /* entered once the last bytes in clear are written */
	TRANSPORT_FINISHING, /* the owner is gone */
	TRANSPORT_FAILED,    /* reported; waits for transport_free() */
	TRANSPORT_CLOSED,    /* the handles are closing */
};

/* A step of the handshake that the helper takes. Until its result is there, the channel is the
 * helper's: nothing else may read or change it. */
struct transport_step {
	struct job job;
	struct transport *transport;
	bool has_result;
	enum channel_result result;
};

struct transport {
	uv_poll_t poll;
	/* limits the time of a state; in TRANSPORT_OPEN it plans a turn, see
	 * transport_plan_turn() */
	struct timeout timer;
	struct channel channel;
	struct tunnel *tunnel; /* owned; NULL: there is no proxy, or it has done its work */
	int64_t timeout_ms, tunnel_timeout_ms; /* of the way */
	struct address server; /* that a proxy was asked for; a port of 0: by name */
	/* for a TLS message, once a part of it has arrived; and when that is over, by uv_now().
	 * 0: there is none */
	uint64_t message_timeout_ms, message_deadline;
	bool message_is_late; /* the timer says so; it is read on once more */
	bool message_counts;  /* whether it counts as held, when that was last looked at */
	bool held_is_due;     /* a write of the owner completed it; the owner is to be told */
	bool is_proxied;
	const struct address *source; /* NULL once it is bound, and when there is none */
	struct buffer out;
	size_t n_clear; /* bytes of `out` to be sent before the handshake */
	const struct transport_callbacks *callbacks;
	void *userdata;
	char *read_buffer;
	bool has_begun;     /* the server has sent a part of the handshake, and not all of it */
	bool is_slow;       /* the handshake takes longer than TRANSPORT_FLIGHT_MS */
	const char *broken; /* why writing is impossible; reading goes on until nothing is left */
	enum transport_state state;
	int events;         /* that the poll handle waits for */
	int connect_error;  /* errno of an immediate failure of bind(2) or connect(2) */
	unsigned n_handles; /* not closed yet */
	bool is_in_turn;    /* inside a turn, which updates the poll at its end */
	bool is_in_timer;
	struct helper *helper;       /* borrowed; NULL: none */
	struct transport_step *step; /* owned; NULL but in a handshake with a helper */
	struct turn *turn;           /* borrowed; NULL: none */
	struct turn_item item;
	int events_due; /* what the socket was ready for when the item was added */
	/* How often the poll has told so while the item waits. With TRANSPORT_REPORTS_MAX it is
	 * stopped until the turn is over. */
	unsigned n_reports;
	bool is_paused;
	bool is_congested;
	bool has_ended; /* the peer has ended the stream, and the owner knows */
	bool has_sent_fin;
};

/* Talks with the proxy, as far as it goes now. *ret_failure is set with TUNNEL_FAILED. */
_must_check_ enum tunnel_result transport_tunnel(struct transport *transport,
						 struct failure *ret_failure);

/* Says why the proxy did not connect in time. */
void transport_tunnel_timeout(const struct transport *transport, struct failure *ret_failure);

/* Frees the tunnel, if there is one. */
void transport_end_tunnel(struct transport *transport);

/* Whether a step of the handshake is the helper's. */
static inline bool transport_is_in_helper(const struct transport *transport)
{
	return transport->step && transport->step->job.state != JOB_IDLE;
}

/* Whether the server has sent a part of its handshake, and has taken long for the rest. */
static inline bool transport_is_held_up(const struct transport *transport)
{
	return transport->has_begun && transport->is_slow;
}

/* Returns 0 or -ENOMEM. */
_must_check_ int transport_begin_steps(struct transport *transport);

/* Takes a step of the handshake, or gives what takes long to the helper. Then it returns false, and
 * the transport has its turn again when the result is there; it is that of the next call. */
_must_check_ bool transport_take_step(struct transport *transport, enum channel_result *ret_result);

/* Frees the step, if there is one; the helper must not have it. */
void transport_end_steps(struct transport *transport);

/* Closes the socket and frees what the helper may have used, as the last part of
 * transport_free(). */
void transport_release(struct transport *transport);

/* The transport's turn, in all states in which the server's bytes cost something. */
void transport_on_turn(struct turn_item *item);

/* The events that the poll has to wait for in this state. */
int transport_wanted_events(const struct transport *transport);

/* Where to read now, and at most how many bytes. */
char *transport_place(const struct transport *transport, size_t *ret_n);

/* Whether the owner is to be told that a message counts as held, or no longer. If so, this returns
 * true once. */
bool transport_take_change(struct transport *transport);

/* Writes up to @n bytes of what waits, as far as the socket takes them. */
void transport_flush(struct transport *transport, size_t n);

/* Reports the end of the connection, in transport-fail.c. With @words; because the server sent too
 * many TLS messages without data; because the handshake failed; because of the errno @error of
 * connect(2), bind(2) or a proxy. */
void transport_fail(struct transport *transport, const struct failure *failure);
void transport_fail_lost(struct transport *transport, const char *words);
void transport_fail_flooded(struct transport *transport);
void transport_fail_handshake(struct transport *transport);
void transport_fail_connect(struct transport *transport, int error);

/* libuv reports an error on the socket without its number, and stops the handle. Finds the number.
 * What the peer sent before can still be read. */
void transport_poll_failed(struct transport *transport);

/* The timer's callback in every state. */
void transport_on_timer(struct timeout *timer);

/* Makes the poll wait for what the state needs. Does nothing inside a turn, because a turn does it
 * at its end. Each change costs four epoll_ctl(2), so they are made only when needed and once
 * in a turn. */
void transport_update_poll(struct transport *transport);

/* Plans a turn without waiting for the socket: TLS holds bytes that are not read yet, or a call of
 * the owner has found a failure to report. */
void transport_plan_turn(struct transport *transport);

/* To be called after reading and writing: a server that begins a TLS message has to finish it in
 * time. Otherwise a few bytes of each would hold 131 KB (channel_is_in_message()). */
void transport_watch_message(struct transport *transport);

/* It is complete, or what is missing may be there, unread. */
void transport_forget_message(struct transport *transport);

/* Notes that writing is impossible because of @words, and discards what waits to be written. */
void transport_set_broken(struct transport *transport, const char *words);

/* Continues in TRANSPORT_FINISHING. May free the transport. */
void transport_turn_finishing(struct transport *transport);
