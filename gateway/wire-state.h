/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of wires. Private to gateway/wire*.c; users include wire.h.
 *
 * wire-hub.c       the hub: wires come and go, events, the loop
 * wire.c           the bytes of a wire, and its end
 * wire-deadline.c  deadlines, in a wheel of seconds
 */
#include <sys/epoll.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "common/due.h"
#include "gateway/wire.h"

enum {
	WIRE_EVENTS = EPOLLIN | EPOLLRDHUP,
	/* A deadline stands in the slot of the second in which to look at it again. Most deadlines
	 * are replaced before that, which then costs one assignment. */
	WIRE_SLOTS = 128,
};

struct wire {
	struct wire_hub *hub; /* NULL: it belongs to none */
	const struct wire_callbacks *callbacks;
	void *user;
	LIST_ENTRY(wire) in_hub; /* or in the hub's list of dead wires */
	LIST_ENTRY(wire) in_slot;
	struct due_item due;
	struct buffer out;
	struct blob *tail; /* what waits behind `out`; NULL: nothing */
	size_t n_tail_sent;
	struct address peer;
	int fd;                       /* -1: closed or given away */
	uint32_t deadline, looked_at; /* ticks; 0: none, in no slot */
	uint32_t n_discarded;
	bool hung_up : 1;
	bool wakes : 1;       /* `ready` is due */
	bool is_late : 1;     /* `late` is due, unless a new deadline is set */
	bool wants_write : 1; /* the epoll reports when the kernel takes more */
	bool ended : 1;       /* FIN is sent */
	bool broken : 1;      /* nothing can be sent any more */
	bool copies : 1;      /* the kernel does not discard for this socket */
};

LIST_HEAD(wires, wire);

struct wire_hub {
	struct wire_hub_options options;
	struct wires wires, dead;
	struct wires slots[WIRE_SLOTS];
	uint32_t tick; /* begins with 1 */
	int epoll_fd;
	uv_poll_t poll;
	uv_timer_t timer;
	uv_check_t reap;
	struct due_queue due;
	char bytes[WIRE_PEEK_MAX];
};

/* Sends what waits. Returns whether anything was sent. */
bool wire_flush(struct wire *wire);

/* A second has passed: wires whose deadline has come are added to the due queue. */
void wire_deadline_tick(struct wire_hub *hub);

void wire_deadline_forget(struct wire *wire);
