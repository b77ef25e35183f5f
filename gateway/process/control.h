/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Messages between the processes of a running gateway: fixed structs on private sockets that keep
 * their boundaries (SOCK_SEQPACKET), with descriptors attached (SCM_RIGHTS).
 *
 * supervisor  the process that the operator started (supervisor.h)
 * server      a process that serves clients; there are several while an upgrade is under way
 * generation  the number of a server, unique among those that are alive; its sids have it
 * control     one pair for each server: orders from the supervisor, reports to it
 * binder      one more pair for each server, for its questions: it sends one and waits for the
 *             answer, which must not be mixed with orders
 * door        one more for each server: where the others pass it connections (door.h)
 *
 * Two versions of the program may talk to each other after an upgrade. CONTROL_PROTOCOL is to be
 * increased with each change of this header; the new server refuses to start under a supervisor
 * with another number.
 */
#include <stdbool.h>

#include "common/address.h"
#include "common/macro.h"
#include "gateway/listener/bind.h"

enum {
	CONTROL_PROTOCOL = 3,
	/* Descriptors in one message; the kernel's limit is SCM_MAX_FD = 253. */
	CONTROL_FDS_MAX = 128,
	/* How long a process waits while the kernel has no memory for a message: about a second.
	 * No message may be lost. */
	CONTROL_WAIT_MS = 10,
	CONTROL_WAITS_MAX = 100,
	/* How long a server waits for an answer, or for the next part of one: longer than the
	 * supervisor waits for memory to send it. */
	CONTROL_ANSWER_MS = 10000,
	/* Generations are one character of a sid. */
	CONTROL_GENERATIONS = 64,
};

enum control_kind {
	/* Orders. */
	CONTROL_RELOAD = 1, /* SIGHUP */
	CONTROL_COUNT,      /* SIGUSR1: log the counters */
	CONTROL_DRAIN,      /* SIGTERM: no new sessions; end when drain_timeout is over */
	CONTROL_RETIRE,     /* a newer generation serves; end with the last session */
	CONTROL_STOP,       /* end now */
	CONTROL_DOOR,       /* `generation` is reached by the attached descriptor */
	CONTROL_GONE,       /* `generation` has ended */
	/* Reports. */
	/* The server serves: the start is complete. Where its lines go, the supervisor's go, too:
	 * `n`: enum log_format; `is_given`: enum log_place, `place.name`: its path (to standard
	 * error if the path is too long for that). */
	CONTROL_READY,
	CONTROL_RELOADED, /* `result`: 0, or why the old configuration stays */
	CONTROL_ALIVE,    /* all workers have answered; for the watchdog */
	/* Questions, and answers. */
	CONTROL_BEGIN,  /* a list of CONTROL_LISTEN follows; no answer */
	CONTROL_LISTEN, /* asks for `n` sockets that listen on `place` */
	CONTROL_COMMIT, /* the sockets of the list are in use: close all others; no answer */
	CONTROL_ABORT,  /* the list is void: close the sockets that were opened for it; no answer */
	/* The answer: `result` is a negative errno, or 0; then sockets are attached, and `n` more
	 * come in further messages. `is_given`: from the service manager, whatever the address. */
	CONTROL_SOCKETS,
	/* At a door: a connection of the client `address`, on which nothing has been read. */
	CONTROL_CONNECTION,
};

struct control_message {
	uint32_t kind;
	uint32_t generation;
	int32_t result;
	uint32_t n;
	uint32_t is_given;
	uint32_t is_secure, idle_s; /* of a connection (wire.h) */
	uint32_t question;          /* a number; the answer has that of its question */
	struct address address;
	struct bind_place place;
};

/* @generation in a set of them. */
static inline uint64_t control_bit(unsigned generation)
{
	return UINT64_C(1) << generation;
}

enum control_result {
	CONTROL_RECEIVED,
	CONTROL_EMPTY,  /* there is no message yet */
	CONTROL_CLOSED, /* the other process is gone */
};

/* Closes descriptors, except for those that are negative. */
void control_close(const int *fds, size_t n_fds);

/* Makes a pair of sockets, closed on exec. Returns 0 or a negative errno. */
_must_check_ int control_pair(int ret_fds[static 2]);

/* Sends @message with @n_fds descriptors, which the caller keeps. Never waits. Returns 0 or a
 * negative errno: -EAGAIN if the other process is behind, -EPIPE or -ECONNRESET if it is gone. */
_must_check_ int control_send(int fd, const struct control_message *message, const int *fds,
			      size_t n_fds);

/* Likewise, but waits while the kernel is out of memory, for a second at most. Not for threads that
 * serve clients. */
_must_check_ int control_send_patiently(int fd, const struct control_message *message,
					const int *fds, size_t n_fds);

/* Whether a message for which control_send() returned @r may be sent later: the other process is
 * not gone. */
bool control_may_retry(int r);

/* Whether a message waits that could not be received because the kernel was out of memory for all
 * of that second: @r is control_receive()'s. It may be received later; nothing is lost. */
bool control_is_delayed(int r);

/* Receives a message that has come; it waits for none, but while the kernel is out of memory, it
 * waits as above. The caller owns the descriptors; the others are -1. A message of another length
 * is -EPROTO. Returns CONTROL_... or a negative errno. */
_must_check_ int control_receive(int fd, struct control_message *ret_message,
				 int ret_fds[static CONTROL_FDS_MAX], size_t *ret_n_fds);
