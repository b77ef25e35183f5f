/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The servers that a supervisor has started: one that serves, perhaps one that is starting, and
 * those that are retired (server.h). Each knows the doors of all others (control.h).
 */
#include <sys/queue.h>
#include <sys/types.h>

#include "common/mono.h"
#include "gateway/process/control.h"

enum child_state {
	CHILD_STARTING,
	CHILD_SERVING, /* the one that accepts connections */
	CHILD_RETIRED,
	CHILD_DISMISSED, /* killed before it served, because the gateway stops */
};

struct child {
	TAILQ_ENTRY(child) in_children;
	pid_t pid;
	unsigned generation;
	enum child_state state;
	struct mono started;
	int control, binder; /* the supervisor's ends; -1: closed */
	int door;            /* the end of the other servers */
};

struct children {
	TAILQ_HEAD(, child) list; /* oldest first */
	unsigned n;
	unsigned next_generation;
	char *const *argv;
	unsigned alive_ms; /* struct launch */
};

/* @argv is the program's own, and borrowed. */
void children_init(struct children *children, char *const *argv);

/* Starts a server. Before it serves, it learns the doors of the others, and they learn its. Returns
 * 0 or a negative errno. */
_must_check_ int children_start(struct children *children, struct mono now);

/* The first one in @state, or NULL. */
struct child *children_find(struct children *children, enum child_state state);

/* The one with this process id, or NULL. */
struct child *children_find_pid(struct children *children, pid_t pid);

/* Give an order to one or to all. One that is gone is skipped: SIGCHLD reports it. Returns whether
 * the order was sent; why it was not is logged. */
bool child_order(const struct child *child, enum control_kind kind);
void children_order(struct children *children, enum control_kind kind);

/* Kills the one that is starting, if there is one: it may not read its orders for long, and has no
 * session that could be lost. */
void children_dismiss(struct children *children);

/* Forgets @child, which has ended, tells the others, and frees it. */
void children_remove(struct children *children, struct child *child);
