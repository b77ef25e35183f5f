/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How often each client may do something within an interval: the first times are granted, the others
 * are counted. For what is worth a line in the log once, but not 9,000 times a second. The caller
 * says what time it is, and guards the quota when several threads ask.
 *
 * client    as in client.h: an IPv4 address, or the /64 of an IPv6 address
 * interval  begins with the first time of a client that has none, and lasts for interval_ms
 * excess    how often a client was not granted in an interval; told once, when that is over
 * others    clients that find the table full share one interval
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/mono.h"

enum {
	/* Clients with an interval of their own. Whoever owns an IPv6 /48 has 65,536 /64s to come from,
	 * and neither memory nor the number of grants may grow with them. */
	QUOTA_CLIENTS_MAX = 1024,
};

struct quota;

struct quota_limits {
	size_t n_client; /* for each client and interval: so much one client may cause */
	size_t n_others; /* for the others together */
	int64_t interval_ms;
};

struct quota_excess {
	uint64_t n; /* 0: there is none */
	bool is_others;
	struct address client; /* the address that began the interval; not set for the others */
};

/* Returns 0 or a negative errno. */
_must_check_ int quota_new(const struct quota_limits *limits, struct quota **ret_quota);
struct quota *quota_free(struct quota *quota);

/* Whether @client may at @now. Where that begins its next interval, @ret_excess is what the one before
 * has left, else none. */
bool quota_take(struct quota *quota, const struct address *client, struct mono now,
		struct quota_excess *ret_excess);

/* Ends the intervals that are over at @now, up to the first that has an excess. False when there is no
 * such. To be called until then, once an interval or more often; with MONO_NEVER all intervals end. */
bool quota_expire(struct quota *quota, struct mono now, struct quota_excess *ret_excess);
