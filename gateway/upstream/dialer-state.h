/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Shared by dialer.c (which targets to dial: SRV records, rules) and dialer-race.c (dialling them).
 * Private to these two.
 */
#include <stdbool.h>
#include <stddef.h>

#include "gateway/upstream/dialer.h"
#include "gateway/upstream/race.h"

/* A connection attempt of the race. */
struct dial_attempt {
	struct dial *dial;
	struct transport *transport;   /* NULL once the attempt is over */
	const struct address *address; /* borrowed from the race */
	size_t target;
	uint64_t started_ns;
};

struct dial {
	/* first starts the dial at the next turn, later wakes the race; closing it frees the
	 * dial */
	uv_timer_t timer;
	struct dialer *dialer;
	const char *served; /* the XMPP domain that a server is sought for */
	const char *domain; /* the name looked up in the DNS: `served`, or the host of a redirect */
	const struct domain_rule *rule;
	const struct dial_callbacks *callbacks;
	void *userdata;
	struct resolver_query *query; /* NULL when no query is under way */
	/* In the order of trying; NULL for fixed addresses. Where the rule names hosts, there is
	 * one for each of its servers, without a host for an address. */
	struct srv_target *targets;
	struct address literal[DOMAIN_CONNECT_MAX]; /* of the rule: what `fixed` points to */
	const struct address *fixed;
	size_t n_fixed;
	const struct address *avoided; /* already tried; borrowed */
	size_t n_avoided;
	/* the servers are the operator's own words: no policy applies */
	bool exempt;
	/* fixed addresses, and redirects to a port, use TLS from the first byte */
	bool direct;
	struct redirect redirect; /* empty unless a server redirected us */
	size_t asked;             /* index of the target whose addresses are being looked up */
	struct race race;
	struct dial_attempt attempts[RACE_ATTEMPTS_MAX];
	struct failure failure; /* the most telling one so far */
	bool closing;
};

enum domain_tls dial_tls(const struct dial *dial);

/* Turns a failed lookup of @name into a failure of the dial, unless a more telling one is known. */
void dial_note_dns(struct dial *dial, enum resolver_result result, const char *name);

/* Ends the dial and reports its failure. */
void dial_fail(struct dial *dial);

/* Starts the race over the first @n_targets of dial.targets. The dial may be gone afterwards. */
void dial_race(struct dial *dial, size_t n_targets);
