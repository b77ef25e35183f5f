/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Decides which address of a service to dial, and when (RFC 8305, "Happy Eyeballs"). An engine that
 * does not allocate.
 *
 * target   a host and port that serve the domain; here only an index in SRV order
 * answer   the addresses of one target, IPv4 and IPv6 together
 * attempt  a connection that was started; an index in the order of starting
 * late     an address that failed lately (history.h): dialled after those of all targets
 * last     an address that connects but is unusable for the domain (history.h). It would win every
 *          race that it takes part in, so it is dialled when all else has failed or has had its
 *          time
 * winner   the first attempt that connected; all others are given up
 *
 * Use: call race_init(). Then repeat race_next() and do what it says until it returns RACE_NOTHING,
 * and set a timer to race_deadline(). Report answers and outcomes as they come, also between two
 * calls of race_next(). The owner limits the time of an attempt, and reports RACE_FAILED when it is
 * over; the owner also limits the time of the whole race.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/address.h"
#include "common/mono.h"
#include "gateway/upstream/history.h"

enum {
	/* Addresses dialled in one race, over all targets: keeps zones from using the gateway as a
	 * scanner. */
	RACE_ATTEMPTS_MAX = 20,
	/* Attempts that run at the same time: a domain whose addresses drop packets holds that many
	 * descriptors for each session. */
	RACE_AT_ONCE_MAX = 6,
	/* Addresses taken from one answer. */
	RACE_ADDRESSES_MAX = 16,
	/* Connection Attempt Delay (RFC 8305, 5 and 8): the head start of an address over the
	 * next. */
	RACE_DELAY_MS = 250,
	/* The head start of lookups and attempts under way over the last addresses. Long enough for
	 * a lost packet to be sent again. */
	RACE_LAST_DELAY_MS = 3000,
};

enum race_action_kind {
	RACE_NOTHING, /* wait for race_deadline() or for a report */
	RACE_RESOLVE, /* look up the addresses of .target, then call race_answer() */
	RACE_DIAL,    /* connect to .address of .target as .attempt, then call race_report() */
	RACE_GIVE_UP, /* end .attempt: another one has won */
	RACE_WON,     /* .attempt has won; the race is over */
	RACE_LOST,    /* no address is left; the race is over */
};

struct race_action {
	enum race_action_kind kind;
	size_t target, attempt;
	const struct address *address; /* borrowed for the life of the race */
};

enum race_outcome {
	RACE_CONNECTED,
	/* connected, too, but another attempt was read first, whose RACE_CONNECTED is to follow at
	 * once: this says nothing about either address. Else a gateway that stood still, and finds
	 * several connections afterwards, would take all but one for too slow */
	RACE_SECOND,
	RACE_FAILED, /* refused, unreachable, or out of time: noted in the history */
	RACE_BROKEN, /* the gateway lacked the resources to try: the address is not to blame */
	/* by policy, so it was not dialled and does not count. To be reported before the next
	 * race_next() */
	RACE_REFUSED,
};

struct race_address {
	struct address address;
	size_t target;
};

struct race_attempt {
	struct race_address to;
	struct mono started;
	bool is_running;
	bool is_second; /* RACE_SECOND */
};

enum race_state {
	RACE_STATE_RUNNING,
	RACE_STATE_CONNECTED, /* the other attempts are being given up */
	RACE_STATE_OVER,
};

struct race {
	enum race_state state;
	struct history *history;
	const char *domain;            /* for addresses that are unusable for one domain */
	size_t n_targets, next_target; /* targets before next_target have been resolved */
	bool is_asking;                /* the answer for target next_target - 1 is awaited */
	struct race_address queue[RACE_ADDRESSES_MAX]; /* of the last answer, in dialling order */
	size_t n_queue, next_queue;
	struct race_address late[RACE_ATTEMPTS_MAX]; /* as many as could ever be dialled */
	size_t n_late, next_late;
	struct race_address last[RACE_ATTEMPTS_MAX]; /* likewise */
	size_t n_last, next_last;
	struct race_attempt attempts[RACE_ATTEMPTS_MAX];
	size_t n_attempts, n_running;
	size_t winner;
	struct mono next_start; /* earliest start of the next attempt while others run */
	struct mono late_start; /* when late addresses stop waiting for the awaited answer */
	struct mono last_start; /* when last addresses stop waiting */
};

/* How the addresses of an answer are ordered. In both orders, those that won lately come first. */
enum race_order {
	RACE_ORDER_GIVEN,
	/* The families alternate (RFC 8305, 4, with a First Address Family Count of 1), beginning
	 * with that of the first address. The resolver sorts by RFC 6724, so that is IPv6 wherever
	 * this machine has IPv6 connectivity. */
	RACE_ORDER_FAMILIES,
};

/* Begins a race over @n_targets targets of @domain. @history and @domain are borrowed for the life
 * of the race. Outcomes are noted in @history. */
void race_init(struct race *race, struct history *history, const char *domain, size_t n_targets);

/* Returns what to do at @now. */
struct race_action race_next(struct race *race, struct mono now);

/* The addresses of the target of the last RACE_RESOLVE; there may be none. An address seen before
 * in this race is left out, even with another target: it would be the same connection. */
void race_answer(struct race *race, const struct address *addresses, size_t n_addresses,
		 enum race_order order, struct mono now);

/* The outcome of a running attempt. */
void race_report(struct race *race, size_t attempt, enum race_outcome outcome, struct mono now);

/* Whether there may be an address besides the winner's: not dialled yet, of a target that is not
 * resolved yet, or given up. It may turn out that there is none; `false` is certain. */
bool race_has_others(const struct race *race);

/* When to call race_next() again without a report, or MONO_NEVER. Valid after race_next() has
 * returned RACE_NOTHING. */
struct mono race_deadline(const struct race *race);
