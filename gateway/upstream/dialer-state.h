/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Shared by dialer.c (which targets to dial: SRV records, rules), dialer-race.c (dialling them) and
 * dialer-way.c (from where, and through which proxy). Private to these three.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/timeout.h"
#include "gateway/upstream/dialer.h"
#include "gateway/upstream/race.h"

enum {
	/* Addresses of a proxy's name that are tried: a name like localhost has two. */
	DIAL_PROXIES_MAX = 4,
};

/* A connection attempt of the race. */
struct dial_attempt {
	struct dial *dial;
	struct transport *transport;   /* NULL once the attempt is over */
	const struct address *address; /* borrowed from the race */
	size_t target;
	size_t proxy; /* index of the proxy's address */
	uint64_t started_ns;
};

struct dial {
	/* first starts the dial at the next turn, later wakes the race; closing it frees the
	 * dial */
	struct timeout timer;
	struct dialer *dialer;
	const char *served; /* the XMPP domain that a server is sought for */
	const char *domain; /* the name looked up in the DNS: `served`, or the host of a redirect */
	const struct domain_rule *rule;
	const struct dial_callbacks *callbacks;
	void *userdata;
	uint32_t crowd;               /* that the DNS is asked for */
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
	bool is_exempt;
	/* fixed addresses, and redirects to a port, use TLS from the first byte */
	bool is_direct;
	struct redirect redirect; /* empty unless a server redirected us */
	size_t asked;             /* index of the target whose addresses are being looked up */
	struct race race;
	struct dial_place place; /* of the crowd */
	struct dial_attempt attempts[RACE_ATTEMPTS_MAX];
	struct failure failure;      /* the most telling one so far */
	const struct egress *egress; /* the proxy; NULL: none */
	bool egress_resolves;        /* it looks up names */
	struct address proxies[DIAL_PROXIES_MAX];
	size_t n_proxies;   /* 0 while its name is being looked up */
	size_t first_proxy; /* those before it could not be reached */
	bool is_closing;
};

/* Turns a failed lookup of @name into a failure of the dial, unless a more telling one is known. */
void dial_note_dns(struct dial *dial, enum resolver_result result, const char *name);

/* Sets the addresses of the proxy, in the order of trying. Those beyond DIAL_PROXIES_MAX are left
 * out. */
void dial_set_proxies(struct dial *dial, const struct address *addresses, size_t n_addresses);

/* Whether the policy lets the proxy look up @host. */
bool dial_may_name(const struct dial *dial, const char *host);

/* Whether the name is one of Tor's that the DNS must not be asked for (RFC 7686, 2): it would tell
 * others, and nobody knows it. */
bool dial_is_onion(const struct dial *dial);

/* Whether the proxy looks up the attempt's target: the address is a stand-in. */
bool dial_is_named(const struct dial_attempt *attempt);

/* Starts to connect to the attempt's address. Returns 0 or a negative errno of transport_new(). */
_must_check_ int dial_connect(struct dial_attempt *attempt,
			      const struct transport_callbacks *callbacks);

/* Goes to the next address of the proxy. Returns false if there is none. */
bool dial_next_proxy(struct dial_attempt *attempt);

/* Ends the dial and reports its failure. */
void dial_fail(struct dial *dial);

/* Starts the race over the first @n_targets of dial.targets. The dial may be gone afterwards. */
void dial_race(struct dial *dial, size_t n_targets);
