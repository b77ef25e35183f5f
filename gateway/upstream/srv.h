/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The order in which the targets of a set of SRV records are tried (RFC 2782, "Usage rules"): by
 * priority, and among equal priorities by a weighted draw. An engine: the random numbers are passed in.
 *
 * target  a host name and port that serve the domain
 * set     the targets of one answer of the DNS
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
};

struct srv_set {
	size_t n_targets;
	struct srv_target targets[SRV_TARGETS_MAX];
};

/* Gives a number from 0 to @max, both included. */
typedef uint32_t (*srv_draw)(void *userdata, uint32_t max);

/* Adds a record to @set. Left out: a host that is no host name (letters, digits, hyphens, underscores, dots) and
 * the port 0, where nobody listens. When the set is full the target that would be tried last gives way, or
 * the new one stays out. */
void srv_set_add(struct srv_set *set, const char *host, uint16_t priority, uint16_t weight,
		 uint16_t port);

/* Sorts @targets in place into the order in which they are to be tried. */
void srv_order(struct srv_target *targets, size_t n_targets, srv_draw draw, void *userdata);

/* Whether the set says that the service is decidedly not available: nothing but the target "." */
bool srv_not_offered(const struct srv_target *targets, size_t n_targets);
