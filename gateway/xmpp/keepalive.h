/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sends whitespace keepalives (RFC 6120, 4.6.1) to the servers of a worker, with one timer.
 *
 * TCP's own keepalives detect a dead host and keep NATs open. But proxies between the gateway and a
 * server do not count them, and many servers end a stream on which nothing has arrived for a while.
 * The client cannot help: its own connection ends at the gateway.
 *
 * member    a stream that gets a space when nothing else has been sent to it
 * interval  the longest time without a byte to a member's server, plus or minus KEEPALIVE_TICK_MS
 *
 * Each member is visited twice in an interval, and gets a space if nothing was written since the
 * last visit. So a write only sets a flag and moves no timer, and a list in the order of the visits
 * is all that is needed.
 */
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/mono.h"

enum {
	/* The period of the timer. */
	KEEPALIVE_TICK_MS = 1000,
	/* Members visited in one iteration of the loop. After a restart of a server many log in at
	 * the same time, and are due at the same time. */
	KEEPALIVE_TURN_MAX = 256,
};

/* A part of its owner's object. All zero: not entered. */
struct keepalive_member {
	TAILQ_ENTRY(keepalive_member) in_members;
	struct mono looked_at;
	bool is_entered;
	bool has_written; /* since then; the owner sets it with each write */
};

struct keepalive {
	/* The member that was visited first stands first. */
	TAILQ_HEAD(keepalive_members, keepalive_member) members;
	uv_timer_t timer;    /* runs while there are members */
	int64_t interval_ms; /* 0: off */
	void (*send)(struct keepalive_member *member);
};

/* @send writes the space. It runs from the loop, and may call every function of this header for any
 * member. */
void keepalive_init(struct keepalive *keepalive, uv_loop_t *loop, unsigned interval_s,
		    void (*send)(struct keepalive_member *member));

/* Stops the timer. The memory belongs to the loop until its next turn. Members may still leave. */
void keepalive_close(struct keepalive *keepalive);

/* Changes the interval of all members; 0: they get no space any more. Streams that did not enter
 * because it was 0 stay out. */
void keepalive_set_interval(struct keepalive *keepalive, unsigned interval_s);

/* Adds @member, which is borrowed until it leaves. Does nothing if it is entered already, or if the
 * interval is 0. */
void keepalive_enter(struct keepalive *keepalive, struct keepalive_member *member);
void keepalive_leave(struct keepalive *keepalive, struct keepalive_member *member);

/* What the timer does in one turn. Returns whether more members are due at once. Public for
 * tests. */
bool keepalive_look(struct keepalive *keepalive, struct mono now);
