/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The sockets that c-ares works with. UDP sockets are what they are. What c-ares takes for a TCP
 * connection is a stand-in: each query that is written to it goes out on a connection of its own,
 * and the answers are read from it as if they had come on one.
 *
 * c-ares 1.18 holds an error of a TCP connection against all that is asked at that server, over UDP
 * too: each such query loses one of its tries, and soon fails. So one name with a truncated answer
 * (a stranger's zone has as many of them as it likes), at a DNS server that refuses TCP or hangs
 * up, would fail every look-up of the worker. A stand-in has no errors: a query that gets no answer
 * over TCP is answered with SERVFAIL, whereupon c-ares asks the next server, for that query only.
 * RFC 7766 (6.2.2) recommends few connections; truncated answers are rare enough that each may have
 * one.
 *
 * stand-in  what c-ares has instead of a TCP socket: a descriptor that is readable while there are
 *           answers
 * exchange  one query, its connection, its answer
 */
#include <ares.h>
#include <sys/queue.h>
#include <uv.h>

enum {
	/* Exchanges under way. Each holds a descriptor and, at worst, an answer of 64 KB: names
	 * with truncated answers, at a DNS server that does not answer over TCP, pile them up. Then
	 * the oldest one fails, since an answer takes milliseconds where there is one. */
	ARES_TCP_EXCHANGES_MAX = 128,
	/* c-ares may have given up before: an answer is then ignored. */
	ARES_TCP_TIMEOUT_MS = 10 * 1000,
};

struct ares_tcp {
	uv_loop_t *loop;
	LIST_HEAD(, ares_tcp_stand_in) stand_ins;
	TAILQ_HEAD(ares_tcp_exchanges, ares_tcp_exchange) exchanges; /* the oldest first */
	size_t n_exchanges;
};

/* Makes the sockets for @channel, which has none yet. @tcp and @loop must outlive the channel. When
 * ares_destroy() has run, all that @tcp has opened is closed or about to be, without any use of
 * @tcp. */
void ares_tcp_init(struct ares_tcp *tcp, uv_loop_t *loop, ares_channel channel);
