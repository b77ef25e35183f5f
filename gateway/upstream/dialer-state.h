/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What dialer.c (what there is to dial: SRV, rules) and dialer-race.c (dialling it) share. Nobody else includes it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "gateway/upstream/dialer.h"
#include "gateway/upstream/race.h"

/* A connection that the race has started. */
struct dial_attempt {
	struct dial *dial;
	struct transport *transport; /* NULL when it is over */
	const struct address *address; /* of the race */
	size_t target;
};

struct dial {
	uv_timer_t timer; /* the start, at the next turn; then the race's; its closing is where the memory goes */
	struct dialer *dialer;
	const char *served; /* the domain that a server is looked for */
	const char *domain; /* asked for in the DNS: that one, or where its server said to go */
	const struct domain_rule *rule;
	const struct dial_callbacks *callbacks;
	void *userdata;
	struct resolver_query *query; /* under way, or NULL */
	struct srv_target *targets;   /* in the order in which they are tried; NULL: the fixed addresses */
	const struct address *fixed;
	size_t n_fixed;
	const struct address *avoided; /* borrowed */
	size_t n_avoided;
	bool exempt;                  /* the fixed addresses are the operator's own, no policy is asked */
	bool direct;                  /* fixed addresses, and redirections to a port, get TLS from the first byte */
	struct redirect redirect;     /* where the server said to go; otherwise empty */
	size_t asked;                 /* whose addresses the query is about */
	struct race race;
	struct dial_attempt attempts[RACE_ATTEMPTS_MAX];
	struct failure failure; /* the one that says most, so far */
	bool closing;
};

enum domain_tls dial_tls(const struct dial *dial);

/* Keeps what the DNS said of @name when it says no less than what was kept before: of equals the last. */
void dial_note_dns(struct dial *dial, enum resolver_result result, const char *name);

/* Ends the dial and tells the failure that says most. */
void dial_fail(struct dial *dial);

/* Starts the race for the first @n_targets of dial.targets; the dial may be gone afterwards. */
void dial_race(struct dial *dial, size_t n_targets);
