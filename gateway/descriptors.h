/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * File descriptors: how many the process may have, and the memory that is set aside for them at the
 * start.
 *
 * libuv keeps a table for each loop, indexed by descriptor. uv_poll_start() grows it when needed
 * and aborts the process if it runs out of memory, so one more client at the wrong moment could end
 * all sessions. Therefore each loop's table is grown to its final size at the start, and the limit
 * on the process's descriptors is set accordingly.
 *
 * libuv also aborts the process when epoll_ctl(2) fails for a descriptor that it had accepted
 * before, which happens at the kernel's limit on watches per user (fs.epoll.max_user_watches).
 * Therefore the process is not allowed more descriptors than can be watched.
 */
#include <stddef.h>
#include <uv.h>

#include "common/macro.h"

enum {
	/* A session usually has three: two connections of BOSH, and the link to the XMPP server.
	 * The fourth is for idle connections without a session, or whose session has ended; they
	 * last up to HTTP_IDLE_S seconds.
	 * While a server that does not answer is dialled, each of its streams has up to
	 * RACE_AT_ONCE_MAX connections in place of the link, 25 descriptors with four streams. They
	 * come out of what other sessions do not use, and of DESCRIPTORS_BESIDE. */
	DESCRIPTORS_PER_SESSION = 4,
	/* For connections without a session, independently of the number of sessions: clients that
	 * are refused, browsers that show the page. An attacker needs 33 addresses to use them all
	 * up (connections_per_address), or 11 for two seconds: a connection with TLS that is passed
	 * on within this process has three (wire_into_fd()). 18 addresses are enough for all
	 * descriptors, if each has 200 sessions that dial as much as they may. */
	DESCRIPTORS_BESIDE = 16384,
	/* The epoll descriptors of loops and libraries, listening sockets, DNS sockets. */
	DESCRIPTORS_PER_WORKER = 128,
	/* Watches per descriptor: that of the hub or of the loop; the others are left to other
	 * programs of the same user. */
	DESCRIPTORS_WATCHES = 3,
};

/* Returns how many descriptors @n_sessions sessions on @n_workers workers need. */
size_t descriptors_needed(size_t n_sessions, unsigned n_workers);

/* Sets the soft limit of the process to @n_needed descriptors, or to fewer if the hard limit or the
 * kernel's limit on watches requires it. Call before starting threads and creating loops. Returns 0
 * and sets *ret_n to the limit (every descriptor is less than it), or a negative errno. */
_must_check_ int descriptors_limit(size_t n_needed, size_t *ret_n);

/* Sets the limit to what @n_sessions sessions on @n_workers workers need, as descriptors_limit()
 * does, and logs a warning if there are fewer. */
_must_check_ int descriptors_set(size_t n_sessions, unsigned n_workers, size_t *ret_n);

/* Grows @loop's table to hold all descriptors below @n, at 8 bytes each. @poll must stay valid
 * until the loop has ended. Returns 0 or a negative errno. */
_must_check_ int descriptors_reserve(uv_loop_t *loop, uv_poll_t *poll, size_t n);
