/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How many connections and sessions there are, in all, per client and per domain: the one table that all workers
 * share. Guarded by a mutex; asked when a connection is accepted and when a session is made, never per stanza.
 *
 * client  an IPv4 address, or the /64 of an IPv6 address: what one subscriber is usually given, so that
 *         nobody multiplies by walking through it
 */
#include <stddef.h>

#include "common/address.h"

struct census;

enum census_result {
	CENSUS_OK,
	CENSUS_E_CLIENT_FULL, /* the client has as many as one client may have */
	CENSUS_E_DOMAIN_FULL, /* the domain has as many as its limit allows */
	CENSUS_E_FULL,        /* the gateway has as many sessions as it may have */
};

struct census_limits {
	size_t sessions;                /* in all: memory */
	size_t sessions_per_client;     /* one abuser must not take all places */
	size_t connections_per_client;  /* likewise for descriptors */
};

_must_check_ int census_new(const struct census_limits *limits, struct census **ret_census);
struct census *census_free(struct census *census);

/* Take a place; each success is given back with the same address by the matching leave. Thread-safe.
 * Return CENSUS_OK, CENSUS_E_CLIENT_FULL, for sessions CENSUS_E_FULL, or -ENOMEM. */
_must_check_ int census_enter_connection(struct census *census, const struct address *client);
void census_leave_connection(struct census *census, const struct address *client);
_must_check_ int census_enter_session(struct census *census, const struct address *client);
void census_leave_session(struct census *census, const struct address *client);

/* Takes a place among the sessions to @domain (ascii form), of which there may be @n_max at the same time; each
 * success is given back. For domains that have such a limit only: nobody counts the others. Thread-safe.
 * Returns CENSUS_OK, CENSUS_E_DOMAIN_FULL or -ENOMEM. */
_must_check_ int census_enter_domain(struct census *census, const char *domain, size_t n_max);
void census_leave_domain(struct census *census, const char *domain);

/* How many domains have a place taken. */
size_t census_domains(struct census *census);

size_t census_sessions(struct census *census);

/* How many clients have a connection or a session: what the table holds. */
size_t census_clients(struct census *census);
