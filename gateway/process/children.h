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

enum {
	/* How often orders are sent again that a server has not got. */
	CHILDREN_RETRY_MS = 100,
	/* How long a new server may take to start before the upgrade is given up. */
	CHILDREN_START_S = 60,
	/* How often to look at one that starts, and what counts of the time between two looks at
	 * most: when the supervisor stands still for longer (a service that is frozen, a machine
	 * that is paused), so does the server. */
	CHILDREN_LOOK_MS = 1000,
};

/* Bits, by enum control_kind and by generation. */
struct child_debts {
	uint32_t orders;
	uint64_t doors, gone;
};

struct child {
	TAILQ_ENTRY(child) in_children;
	pid_t pid;
	unsigned generation;
	enum child_state state;
	struct mono looked_at; /* by child_count_start() */
	int64_t start_ms;      /* what its start has taken so far */
	bool is_late;          /* killed because its start took too long */
	int control, binder;   /* the supervisor's ends; -1: closed */
	int door;              /* the end of the other servers */
	/* What could not be sent: the server does not read, or the kernel has no memory. */
	struct child_debts debts;
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

/* Give an order to one or to all. One that is gone is skipped: SIGCHLD reports it. What cannot be
 * sent now is logged, and sent by children_pay() later: a server that has not heard that it is to
 * retire, to drain or to stop would live for ever, and one that does not know the doors of others
 * would end their sessions. */
void child_order(struct child *child, enum control_kind kind);
void children_order(struct children *children, enum control_kind kind);

/* Counts what the start of @child takes. Returns whether that is too long. To be called every
 * CHILDREN_LOOK_MS while it starts. */
bool child_count_start(struct child *child, struct mono now);

/* Whether orders are still to be sent, and sends what can be sent. Never waits. */
bool children_owe(const struct children *children);
void children_pay(struct children *children);

/* Logs how @child has ended: @status is waitpid(2)'s. An end that it was not told, or that did not
 * go well, is an error. */
void child_log_ended(const struct child *child, int status, bool is_told);

/* Kills the one that is starting, if there is one: it may not read its orders for long, and has no
 * session that could be lost. */
void children_dismiss(struct children *children);

/* Forgets @child, which has ended, tells the others, and frees it. */
void children_remove(struct children *children, struct child *child);
