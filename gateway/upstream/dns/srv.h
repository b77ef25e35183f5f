/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The targets that SRV records name for a domain, and the order in which they are tried (RFC 2782, "Usage rules"): by
 * priority, and among equal priorities by a weighted draw. An engine: the random numbers are passed in.
 *
 * target   a host name and port that serve the domain
 * set      the targets of one answer of the DNS, or of two merged
 * service  _xmpp-client._tcp (RFC 6120: STARTTLS), or _xmpps-client._tcp (XEP-0368: direct, TLS from the first byte)
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/upstream/dns/reply.h"

enum {
	SRV_HOST_MAX = 255,
	/* A hostile zone must not make the gateway dial without end for one session. */
	SRV_TARGETS_MAX = 16,
};

struct srv_target {
	char host[SRV_HOST_MAX + 1]; /* as the DNS gave it, without the final dot; "" is "." */
	uint16_t priority;
	uint16_t weight;
	uint16_t port;
	bool direct;    /* TLS from the first byte (XEP-0368) */
	bool authentic; /* AD=1 came with it; else a TLSA record of the host proves nothing (RFC 7673, 3.1) */
};

struct srv_set {
	size_t n_targets;
	struct srv_target targets[SRV_TARGETS_MAX];
};

/* Gives a number from 0 to @max, both included. */
typedef uint32_t (*srv_draw)(void *userdata, uint32_t max);

/* Adds a record to @set. Left out: a host that is neither a host name (letters, digits, hyphens, underscores, dots)
 * nor, as some zones have it, an address; and the port 0, where nobody listens. A target that is there already is
 * not added again, but takes the better priority. When the set is full the target that would be tried last gives
 * way, or the new one stays out. */
void srv_set_add(struct srv_set *set, const char *host, uint16_t priority, uint16_t weight,
		 uint16_t port);

/* Puts what the DNS said of the two services into one set, in which priorities and weights are mixed (XEP-0368,
 * section 3). NULL is an answer that did not come. A service that says "." adds nothing, one that failed neither. Gives
 *
 *   RESOLVER_OK       @ret_set holds targets; or nothing but "." when STARTTLS is decidedly not offered and direct
 *                     TLS neither
 *   RESOLVER_NO_NAME  no record for STARTTLS, no target for direct TLS: the domain itself may be tried (RFC 6120,
 *                     3.2.2)
 *   a failure         one of them failed and the other has no target: there may be records, so nothing is known */
enum resolver_result srv_merge(const struct dns_reply *starttls, const struct dns_reply *direct, struct srv_set *ret_set);

/* Sorts @targets in place into the order in which they are to be tried. */
void srv_order(struct srv_target *targets, size_t n_targets, srv_draw draw, void *userdata);

/* Whether the set says that the service is decidedly not available: nothing but the target "." */
bool srv_not_offered(const struct srv_target *targets, size_t n_targets);
