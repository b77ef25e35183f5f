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
 * pool        connections that serve the requests of all sessions, as those of a proxy do
 * moved       said of a request on a connection to another worker than that of its session, as far
 *             as the session ids tell
 */
#include <stdbool.h>
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

enum {
	LOAD_PORTS_MAX = 2,
};

enum load_pool {
	LOAD_OWN,    /* each session has connections of its own */
	LOAD_SHARED, /* a request takes any idle connection of the pool */
	LOAD_MOVED,  /* a request takes one to another worker, if one is idle */
	LOAD_POOLS,
};

struct load_options {
	enum load_kind kind;
	enum load_pool pool; /* LOAD_BOSH and LOAD_BOSH_HELD */
	/* That of the gateway, or of the peer those without it. With two, the sessions take turns:
	 * two gateways that know nothing of each other. */
	uint16_t ports[LOAD_PORTS_MAX];
	size_t n_ports;
	bool tls;
	/* The server is a real one: anonymous login, restart of the stream, bind. Stanzas go to the
	 * session itself. */
	bool binds;
	size_t n_sessions_max;
	size_t n_text; /* bytes of text in a stanza, which has about 100 more */
};

struct load;

/* Ends the program on failure. */
struct load *load_new(const struct load_options *options);
struct load *load_free(struct load *load);

/* Opens sessions until there are @n, and returns when all can send. Those of LOAD_BOSH_HELD have
 * sent the request that will be held. */
void load_open(struct load *load, size_t n);

/* Runs for @ms, and for as many round trips as there are sessions, with a stanza of each session
 * under way (LOAD_BOSH_HELD: of every second one). Returns the number of completed round trips.
 * Ends the program if nothing arrives for twenty seconds. */
uint64_t load_run(struct load *load, unsigned ms);

/* Waits until every stanza has been answered. */
void load_drain(struct load *load);

/* Ends the BOSH sessions, which outlive their connections. Call it after load_drain(). */
void load_close(struct load *load);

/* Opens and ends sessions for @ms, and @n of them, @n at a time. Returns how many have been ended.
 * For LOAD_BOSH and LOAD_WEBSOCKET, instead of the others. */
uint64_t load_turn_over(struct load *load, size_t n, unsigned ms);

/* Microseconds in which @percent of the round trips (load_turn_over(): logins) of the last run were
 * completed. */
uint32_t load_latency(struct load *load, unsigned percent);

/* How many requests there were, and how many of them moved. */
uint64_t load_requests(const struct load *load, uint64_t *ret_n_moved);
