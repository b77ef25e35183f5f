/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whitespace keepalives (RFC 6120, 4.6.1) to all servers of a worker, from one timer.
 *
 * TCP's own keepalives find a dead host and keep NATs awake, but no proxy between the gateway and a server counts
 * them, and many servers end a stream on which nothing has come for a while. A client behind the gateway cannot
 * tell: its own connection is another one.
 *
 * member    a stream that may be sent a space whenever nothing else has been sent
 * interval  the longest time that a member's server hears nothing, give or take KEEPALIVE_TICK_MS
 *
 * Each member is looked at twice an interval, and sent a space when nothing was written since the last look. So a
 * write costs a flag, not the moving of a timer, and members are looked at in the order in which they entered: a
 * list will do.
 */
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/mono.h"

enum {
	/* What is due is looked for so often. */
	KEEPALIVE_TICK_MS = 1000,
	/* Members that are looked at in one turn of the loop. Those who logged in together, after a server was
	 * started anew, are due together. */
	KEEPALIVE_TURN_MAX = 256,
};

/* In the object of its owner. All 0: not entered. */
struct keepalive_member {
	TAILQ_ENTRY(keepalive_member) in_members;
	struct mono looked_at;
	bool entered;
	bool wrote; /* since then; for the owner to set */
};

struct keepalive {
	TAILQ_HEAD(keepalive_members, keepalive_member) members; /* the one looked at first stands first */
	uv_timer_t timer;                                        /* runs while there are members */
	int64_t interval_ms;                                     /* 0: none are sent */
	void (*send)(struct keepalive_member *member);
};

/* @send writes the space. Called from the loop; in it every function of this header may be called, for any member. */
void keepalive_init(struct keepalive *keepalive, uv_loop_t *loop, unsigned interval_s,
		    void (*send)(struct keepalive_member *member));

/* No timer runs afterwards; the memory is the loop's until its next turn. Members may still leave. */
void keepalive_close(struct keepalive *keepalive);

/* Enters @member, borrowed until it leaves; once is enough. With an interval of 0 nothing happens. */
void keepalive_enter(struct keepalive *keepalive, struct keepalive_member *member);
void keepalive_leave(struct keepalive *keepalive, struct keepalive_member *member);

/* What the timer does in one turn; whether more is due at once. For tests. */
bool keepalive_look(struct keepalive *keepalive, struct mono now);
