/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How often each client may do something within an interval: the first n times are granted, further
 * ones are refused and counted. Used for log lines: an event is worth a few lines, but not 9,000 a
 * second. The caller passes the time, and locks when several threads use one quota.
 *
 * client    as in client.h: an IPv4 address, or the /64 of an IPv6 address
 * interval  starts when a client without one asks, and lasts for interval_ms
 * excess    how often a client was refused within an interval; reported once, after its end
 * others    clients that come when the table is full; they share one interval
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/mono.h"

enum {
	/* Clients that have an interval of their own. The owner of an IPv6 /48 has 65,536 clients:
	 * neither the memory nor the number of grants may grow with them. */
	QUOTA_CLIENTS_MAX = 1024,
};

struct quota;

struct quota_limits {
	size_t n_client; /* granted to each client in an interval */
	size_t n_others; /* granted to the others together */
	int64_t interval_ms;
};

struct quota_excess {
	uint64_t n; /* 0 for no excess */
	bool is_others;
	struct address client; /* the address that started the interval; not set for the others */
};

/* @limits is copied. Returns 0 or a negative errno. */
_must_check_ int quota_new(const struct quota_limits *limits, struct quota **ret_quota);

/* Takes NULL; returns NULL. */
struct quota *quota_free(struct quota *quota);

/* Replaces the limits; intervals that have begun end as they would have. */
void quota_set_limits(struct quota *quota, const struct quota_limits *limits);

/* Returns whether @client is granted at @now. If this starts a new interval, *ret_excess is the
 * excess of the previous one; otherwise its n is 0. */
bool quota_take(struct quota *quota, const struct address *client, struct mono now,
		struct quota_excess *ret_excess);

/* Removes the intervals that are over at @now (all of them with MONO_NEVER), up to and including
 * the first that has an excess, and returns true with it. Returns false when none has. To be called
 * at least once per interval, and then until it returns false. */
bool quota_expire(struct quota *quota, struct mono now, struct quota_excess *ret_excess);
