/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Replaces the TCP sockets of c-ares; UDP sockets are left alone. What c-ares takes for a TCP
 * connection is a stand-in: each query written to it is sent on a connection of its own, and the
 * answers are read from it as if they had come on one connection.
 *
 * Reason: c-ares 1.18 counts an error of a TCP connection against all questions to that server,
 * including those over UDP. Each loses a try and soon fails. So if a DNS server refuses TCP, a
 * single name with a truncated answer (any zone can have many) would fail all lookups of the
 * worker. A stand-in never has errors. A query that cannot be answered over TCP gets SERVFAIL, and
 * c-ares asks the next server for that query alone. RFC 7766 (6.2.2) recommends to use few
 * connections, but truncated answers are rare.
 *
 * stand-in  what c-ares gets in place of a TCP socket: a descriptor that is readable while there
 *           are answers
 * exchange  a query, its connection and its answer
 */
#include <ares.h>
#include <sys/queue.h>
#include <uv.h>

struct ares_bill;

enum {
	/* Exchanges under way. Each holds a descriptor and up to 64 KB of answer. Names with
	 * truncated answers pile them up when the DNS server does not answer over TCP. Then the
	 * oldest fails: a working server would have answered it within milliseconds. */
	ARES_TCP_EXCHANGES_MAX = 128,
	/* By then c-ares may have given up; it ignores the answer. */
	ARES_TCP_TIMEOUT_MS = 10 * 1000,
};

struct ares_tcp {
	uv_loop_t *loop;
	struct ares_bill *bill;
	LIST_HEAD(, ares_tcp_stand_in) stand_ins;
	TAILQ_HEAD(ares_tcp_exchanges, ares_tcp_exchange) exchanges; /* oldest first */
	size_t n_exchanges;
};

/* Installs the replacements in @channel, which must not have sockets yet. @tcp, @loop and @bill
 * must outlive the channel. ares_destroy() closes all that @tcp has opened; @tcp is not used
 * afterwards. */
void ares_tcp_init(struct ares_tcp *tcp, uv_loop_t *loop, ares_channel channel,
		   struct ares_bill *bill);
