/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The targets of a domain's SRV records and the order in which they are tried (RFC 2782, "Usage
 * rules"): by priority, and by a weighted draw among equal priorities. An engine: the random
 * numbers are passed in.
 *
 * target   a host name and port that serve the domain
 * set      the targets of one reply, or of two merged replies
 * service  _xmpp-client._tcp (RFC 6120: STARTTLS) or _xmpps-client._tcp (XEP-0368: direct, which is
 *          TLS from the first byte)
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/upstream/dns/reply.h"

enum {
	SRV_HOST_MAX = 255,
	/* A hostile zone must not make the gateway dial endlessly for one session. */
	SRV_TARGETS_MAX = 16,
};

struct srv_target {
	char host[SRV_HOST_MAX + 1]; /* without the final dot; "" stands for "." */
	uint16_t priority;
	uint16_t weight;
	uint16_t port;
	bool is_direct; /* TLS from the first byte (XEP-0368) */
	/* AD=1; otherwise TLSA records of the host prove nothing (RFC 7673, 3.1) */
	bool is_authentic;
};

struct srv_set {
	size_t n_targets;
	struct srv_target targets[SRV_TARGETS_MAX];
};

/* Returns a random number from 0 to @max, inclusive. */
typedef uint32_t (*srv_draw)(void *userdata, uint32_t max);

/* Adds a record to @set. Records are ignored if the host is neither a host name (letters, digits,
 * hyphens, underscores, dots) nor an address (which some zones have), or if the port is 0. A target
 * that the set already has keeps the better priority. If the set is full, the target with the worst
 * priority gives way; that may be the new one. */
void srv_set_add(struct srv_set *set, const char *host, uint16_t priority, uint16_t weight,
		 uint16_t port);

/* Merges the replies of the two services into one set; priorities and weights are compared across
 * them (XEP-0368, 3). NULL stands for a reply that did not come. A service that failed, or whose
 * target is ".", adds no target. Returns
 *
 *   RESOLVER_OK       @ret_set holds targets; or only ".", if STARTTLS is declared unavailable and
 *                     there is no direct TLS
 *   RESOLVER_NO_NAME  no record for STARTTLS and no target for direct TLS: the domain itself may be
 *                     tried (RFC 6120, 3.2.2)
 *   a failure         one service failed and the other has no target: there may be records */
enum resolver_result srv_merge(const struct dns_reply *starttls, const struct dns_reply *direct,
			       struct srv_set *ret_set);

/* Sorts @targets in place into the order of trying. */
void srv_order(struct srv_target *targets, size_t n_targets, srv_draw draw, void *userdata);

/* Whether the set declares the service unavailable: it has no target but ".". */
bool srv_offers_nothing(const struct srv_target *targets, size_t n_targets);
