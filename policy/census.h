/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The number of connections and sessions: in all, per client and per domain. This is the only table
 * that all workers share, guarded by a mutex. It is used when a connection is accepted and when a
 * session is created or ends, never per stanza.
 *
 * client  an IPv4 address, or the /64 of an IPv6 address. One subscriber usually has a whole /64,
 *         and must not get around the limits by using many of its addresses.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/address.h"

struct census;

enum census_result {
	CENSUS_OK,
	CENSUS_E_CLIENT_FULL, /* the client has as many as one client may have */
	CENSUS_E_DOMAIN_FULL, /* the domain has as many as its limit allows */
	CENSUS_E_FULL,        /* the gateway has as many as it may have */
};

struct census_limits {
	size_t sessions;               /* in all; bounds the memory */
	size_t connections;            /* in all; bounds the descriptors. 0: no limit */
	size_t sessions_per_client;    /* keeps one client from taking all sessions */
	size_t connections_per_client; /* keeps one client from taking all descriptors */
};

/* @limits is copied. Returns 0 or a negative errno. */
_must_check_ int census_new(const struct census_limits *limits, struct census **ret_census);

/* Takes NULL; returns NULL. */
struct census *census_free(struct census *census);

/* Replaces the limits. Clients that have more than the new ones allow keep what they have open.
 * Thread-safe. */
void census_set_limits(struct census *census, const struct census_limits *limits);

/* Count a connection or a session of @client, or refuse it. @is_exempt: the limit for one client
 * does not apply to it. After CENSUS_OK the caller must call the matching leave function with the
 * same address. Thread-safe. Return CENSUS_OK, CENSUS_E_CLIENT_FULL, CENSUS_E_FULL, or -ENOMEM. */
_must_check_ int census_enter_connection(struct census *census, const struct address *client,
					 bool is_exempt);
void census_leave_connection(struct census *census, const struct address *client);
_must_check_ int census_enter_session(struct census *census, const struct address *client,
				      bool is_exempt);
void census_leave_session(struct census *census, const struct address *client);

/* The same for a connection that @client has to a proxy, and that the proxy forwards: it counts
 * towards the client's limit, but not towards the total, which counts the proxy's connection. */
_must_check_ int census_enter_forwarded(struct census *census, const struct address *client,
					bool is_exempt);
void census_leave_forwarded(struct census *census, const struct address *client);

/* Counts a session to @domain (ascii form), or refuses it if there are @n_max already. To be called
 * only for domains that have a limit; sessions to others are not counted. After CENSUS_OK the
 * caller must call census_leave_domain(). Thread-safe. Returns CENSUS_OK, CENSUS_E_DOMAIN_FULL or
 * -ENOMEM. */
_must_check_ int census_enter_domain(struct census *census, const char *domain, size_t n_max);
void census_leave_domain(struct census *census, const char *domain);

/* The number of connections in all. */
size_t census_connections(struct census *census);

/* The number of sessions in all. */
size_t census_sessions(struct census *census);

/* The most connections and sessions together that there were at once since the last call. */
size_t census_take_most(struct census *census);
