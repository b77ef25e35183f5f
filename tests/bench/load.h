/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Clients of the gateway, as many as wanted, driven by one thread: each sends a stanza, waits until it comes back, and
 * sends the next.
 *
 * under way   sent and not back
 * held        a session of LOAD_BOSH_HELD that has a request at the gateway and no stanza under way. Half of the
 *             sessions are, and send in turn, so that no request is held for an instant only.
 */
#include <stddef.h>
#include <stdint.h>

enum load_kind {
	LOAD_ECHO,      /* no gateway at all: the peer sends back what it gets */
	LOAD_BOSH,      /* one request a round trip: it brings the stanza, its answer the echo */
	LOAD_BOSH_HELD, /* two requests: one is held when another connection brings the stanza */
	LOAD_WEBSOCKET, /* one message each way */
	LOAD_KINDS,
};

struct load;

/* Dies when it cannot. @port: of the gateway, or of the peer of LOAD_ECHO. */
struct load *load_new(enum load_kind kind, uint16_t port, size_t n_sessions_max);
struct load *load_free(struct load *load);

/* Opens sessions until there are @n, and returns when all are ready to send; those of LOAD_BOSH_HELD have sent the
 * request that is to be held. */
void load_open(struct load *load, size_t n);

/* Goes on for @ms with a stanza of each session under way (LOAD_BOSH_HELD: of every second). Returns the round trips
 * that were completed. Dies if nothing comes for ten seconds. */
uint64_t load_run(struct load *load, unsigned ms);

/* Waits until the last stanza has come back. */
void load_drain(struct load *load);

/* A connection to @port on the loopback, or -1 when nobody listens there. */
int load_connect(uint16_t port);
