/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Which address of a service to dial, and when (RFC 8305, "Happy Eyeballs"), as an engine: no
 * socket, no resolver, no clock, no allocation.
 *
 * target   a host and port that serve the domain; here only its index in the order of SRV
 * answer   the addresses of one target, IPv4 and IPv6 together
 * attempt  a connection that was started, by its index in the order of starting
 * late     said of an address that failed lately (history.h): it is dialled behind those of all
 *          targets, never left out
 * last     said of an address that connects but is of no use to the domain (history.h). It would
 *          win each race that it takes part in, so it is dialled when nothing else is left to wait
 *          for, or has had its time
 * winner   the first attempt that connected; the others are given up
 *
 * Use: race_init(); then again and again do what race_next() says until RACE_NOTHING, and arm a
 * timer for race_deadline(); tell answers and outcomes as they come, also from between two calls of
 * race_next(). The bound on the time of an attempt is its owner's, who tells RACE_FAILED then; so
 * is that of the race as a whole.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/address.h"
#include "common/mono.h"
#include "gateway/upstream/history.h"

enum {
	/* Addresses dialled in one race, over all targets: the gateway is no scanner. */
	RACE_ATTEMPTS_MAX = 20,
	/* Of those at the same time: a domain whose addresses swallow packets holds so many descriptors for a session. */
	RACE_AT_ONCE_MAX = 6,
	/* Addresses of one answer that are looked at. */
	RACE_ADDRESSES_MAX = 16,
	/* Connection Attempt Delay (RFC 8305, 5 and 8): the head start of one address before the next. */
	RACE_DELAY_MS = 250,
	/* The head start of everything else, look-ups and connections under way, before the last
	 * addresses: so long that a packet may get lost. */
	RACE_LAST_DELAY_MS = 3000,
};

enum race_action_kind {
	RACE_NOTHING, /* until race_deadline(), or until something is told */
	RACE_RESOLVE, /* ask for the addresses of .target, then race_answer() */
	RACE_DIAL,    /* connect to .address of .target as .attempt, then race_report() */
	RACE_GIVE_UP, /* end .attempt: another one has won */
	RACE_WON,     /* .attempt has; told last, the race is over */
	RACE_LOST,    /* no address is left; the race is over */
};

struct race_action {
	enum race_action_kind kind;
	size_t target, attempt;
	const struct address *address; /* borrowed from the race, valid for its life */
};

enum race_outcome {
	RACE_CONNECTED,
	RACE_FAILED,  /* refused, unreachable, out of time: what the history keeps */
	RACE_BROKEN,  /* the gateway had no means to try: no fault of the address */
	RACE_REFUSED, /* by policy, so it was never dialled: told before the next race_next(), and not counted */
};

struct race_address {
	struct address address;
	size_t target;
};

struct race_attempt {
	struct race_address to;
	struct mono started;
	bool running;
};

enum race_state {
	RACE_STATE_RUNNING,
	RACE_STATE_CONNECTED, /* the others are being given up */
	RACE_STATE_OVER,
};

struct race {
	enum race_state state;
	struct history *history;
	const char *domain; /* for which addresses may be known as unusable */
	size_t n_targets, next_target; /* those before next_target have been asked for */
	bool asking;                   /* the answer of the last one is awaited */
	struct race_address queue[RACE_ADDRESSES_MAX]; /* of the last answer, in the order of dialling */
	size_t n_queue, next_queue;
	struct race_address late[RACE_ATTEMPTS_MAX]; /* no more could be dialled anyway */
	size_t n_late, next_late;
	struct race_address last[RACE_ATTEMPTS_MAX]; /* likewise */
	size_t n_last, next_last;
	struct race_attempt attempts[RACE_ATTEMPTS_MAX];
	size_t n_attempts, n_running;
	size_t winner;
	struct mono next_start; /* of the next attempt, unless none is running */
	struct mono late_start; /* from when on late addresses do not wait for the answer that is due */
	struct mono last_start; /* from when on last addresses wait for nothing */
};

/* How the addresses of an answer are put into order. Those that won lately come first either way. */
enum race_order {
	RACE_ORDER_GIVEN,
	/* The families take turns (RFC 8305, 4, with a First Address Family Count of 1). The first is that of the first
	 * address: the resolver has sorted by RFC 6724, so it is IPv6 wherever this machine has a way to it. */
	RACE_ORDER_FAMILIES,
};

/* A race for @n_targets targets of @domain. @history and @domain are borrowed for the race's life;
 * the history is told what becomes of the addresses. */
void race_init(struct race *race, struct history *history, const char *domain, size_t n_targets);

/* What to do at @now. */
struct race_action race_next(struct race *race, struct mono now);

/* The addresses of the target of the last RACE_RESOLVE; none when there are none. An address that the race has seen
 * already is left out, whatever its target: it would only be the same connection again. */
void race_answer(struct race *race, const struct address *addresses, size_t n_addresses,
		 enum race_order order, struct mono now);

/* What became of an attempt that is running. */
void race_report(struct race *race, size_t attempt, enum race_outcome outcome, struct mono now);

/* Whether there may be an address beside the winner's: one that has not been dialled, a target that
 * has not been asked for or whose answer is awaited, another attempt. Only `false` is certain: a
 * target may turn out to have no address. */
bool race_has_others(const struct race *race);

/* When race_next() has something to say though nothing was told, or MONO_NEVER. After it said RACE_NOTHING. */
struct mono race_deadline(const struct race *race);
