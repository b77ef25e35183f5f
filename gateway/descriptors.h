/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * File descriptors: how many the process may have, and what each of them costs beforehand.
 *
 * libuv keeps a table for each loop, as long as the highest descriptor that the loop has ever watched. uv_poll_start() makes it
 * longer, and ends the process (abort) when there is no memory for that: all sessions would be lost because one more client
 * came at a bad moment. So each loop's table is made once, at the start, as long as it can ever have to be, and the process
 * takes no more descriptors than that.
 *
 * The same goes for what the kernel allows a user to watch (fs.epoll.max_user_watches): libuv ends the process when
 * epoll_ctl(2) fails for a descriptor that it had accepted before. So there are not more descriptors than can be watched.
 */
#include <stddef.h>
#include <uv.h>

#include "common/macro.h"

enum {
	/* A session has at most three (a WebSocket that came by HTTP has two, and one to its server). The fourth is for
	 * connections that have no session, or have one no more: they idle for up to HTTP_IDLE_S seconds. */
	DESCRIPTORS_PER_SESSION = 4,
	/* For connections without a session, however few sessions there may be: clients that are refused, pages that are
	 * looked at. Whoever wants to fill this many needs tens of addresses (connections_per_address). */
	DESCRIPTORS_BESIDE = 16384,
	/* Epolls of loops and libraries, listening and DNS sockets. */
	DESCRIPTORS_PER_WORKER = 128,
	/* A connection is in the epoll of libmicrohttpd and in our own, which hears of its end; the third is for other programs
	 * of the same user. */
	DESCRIPTORS_WATCHES = 3,
};

/* How many @n_sessions sessions on @n_workers workers need. */
size_t descriptors_needed(size_t n_sessions, unsigned n_workers);

/* Lets the process have @n_needed, or as many as the hard limit and the kernel's watches allow if they are fewer. Before other threads
 * and the loops. Returns 0 with *ret_n: all descriptors are below it; or a negative errno. */
_must_check_ int descriptors_limit(size_t n_needed, size_t *ret_n);

/* Makes @loop's table long enough for all descriptors below @n: 8 bytes for each. @poll is the loop's until it has ended. Returns 0
 * or a negative errno. */
_must_check_ int descriptors_reserve(uv_loop_t *loop, uv_poll_t *poll, size_t n);
