/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Any number of clients of the gateway, driven by one thread. Each sends a stanza, waits for its
 * echo, and sends the next one.
 *
 * under way   sent, and not yet answered
 * held        said of a session of LOAD_BOSH_HELD with a request at the gateway and no stanza under
 *             way. Half of the sessions are held and send in turn, so that each request is held for
 *             a while.
 */
#include <stddef.h>
#include <stdint.h>

enum load_kind {
	LOAD_ECHO,      /* without the gateway: the peer sends back what it receives */
	LOAD_HTTP,      /* likewise, requests and answers as large as those of LOAD_BOSH */
	LOAD_BLIND,     /* likewise, the messages of LOAD_WEBSOCKET */
	LOAD_BOSH,      /* one request per round trip, answered with the echo */
	LOAD_BOSH_HELD, /* two requests: one is held while the other sends the stanza */
	LOAD_WEBSOCKET, /* one message each way */
	LOAD_KINDS,
};

struct load;

/* Ends the program on failure. @port is that of the gateway, or of the peer those without it. A
 * stanza has @n_text bytes of text and about 100 more. */
struct load *load_new(enum load_kind kind, uint16_t port, size_t n_sessions_max, size_t n_text);
struct load *load_free(struct load *load);

/* Opens sessions until there are @n, and returns when all can send. Those of LOAD_BOSH_HELD have
 * sent the request that will be held. */
void load_open(struct load *load, size_t n);

/* Runs for @ms, and for 32 round trips, with a stanza of each session under way (LOAD_BOSH_HELD: of
 * every second one).
 * Returns the number of completed round trips. Ends the program if nothing arrives for twenty
 * seconds. */
uint64_t load_run(struct load *load, unsigned ms);

/* Waits until every stanza has been answered. */
void load_drain(struct load *load);

/* Microseconds in which @percent of the round trips of the last load_run() were completed. */
uint32_t load_latency(struct load *load, unsigned percent);
