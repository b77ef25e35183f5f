/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * DNS replies from the cache or else from the DNS servers. A question that is under way is not sent
 * again: all who ask it wait for the same reply. It is renewed when the DNS servers have not
 * answered its first try in time. Each further try waits twice as long, and a session that asks
 * when the servers are back must not wait for a try that began while they were gone.
 *
 * lookup  a question under way. It continues even when nobody waits any more, because c-ares cannot
 *         cancel one, and because the reply is worth caching. A reply to one lookup answers all
 *         lookups of the same question; a failure ends only those that are not newer.
 * wait    for one reply; a member of its owner's struct
 */
#include <sys/queue.h>
#include <uv.h>

#include "common/mono.h"
#include "common/turn.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/ares-loop.h"

struct lookups;
struct lookup_observer;

enum {
	/* Questions under way. Clients that name ever new domains and leave at once pile them up:
	 * each stays until it is answered or times out, even when nobody waits. */
	LOOKUPS_MAX = 2000,
	/* Those of one client (a crowd of common/turn.h). Whose domains nobody answers for would
	 * take all of them otherwise, and nobody else's new domain could be asked for. More than
	 * the sessions of a client that wait at the same time need. */
	LOOKUPS_CROWD_MAX = 500,
	/* Times that a question is renewed before all of its lookups are over. Otherwise, clients
	 * that ask for a name of a dead zone again and again would start one lookup for each
	 * dns_timeout that the first takes, which is 1023 with ten tries. */
	LOOKUPS_RENEWALS_MAX = 8,
};

enum lookups_result {
	LOOKUPS_ASKED,   /* `over` runs when the reply comes; if it was known, `over` has run */
	LOOKUPS_E_BUSY,  /* there are LOOKUPS_MAX questions under way */
	LOOKUPS_E_CROWD, /* there are LOOKUPS_CROWD_MAX of the crowd */
};

struct lookup_wait {
	/* Set before lookups_ask(). Runs once, when the reply is there, possibly inside
	 * lookups_ask() or inside c-ares: it must neither ask nor free the lookups. */
	void (*over)(struct lookup_wait *wait);
	bool is_over;
	struct dns_reply *reply; /* once over; NULL when out of memory. Belongs to the wait. */
	struct lookup *lookup;   /* internal; NULL when over */
	LIST_ENTRY(lookup_wait) in_lookup;
};

/* @observer may be NULL; it is borrowed for the life of the lookups. Returns 0, -EINVAL when the
 * servers cannot be parsed, or -ENOMEM. */
_must_check_ int lookups_new(uv_loop_t *loop, const struct ares_loop_options *options,
			     const struct lookup_observer *observer, struct lookups **ret_lookups);

/* All waits must have been deinitialised. The memory of handles is freed at a later turn of the
 * loop. Takes NULL; returns NULL. */
struct lookups *lookups_free(struct lookups *lookups);

/* Whether no question is under way. */
bool lookups_are_idle(const struct lookups *lookups);

/* Asks for @kind at @name (lower case, at most QUESTION_NAME_MAX characters). A new question counts
 * as @crowd's, which is as for turn_item_init(). @wait must not move until it is deinitialised.
 * Returns a LOOKUPS_..., or -ENOMEM. */
_must_check_ int lookups_ask(struct lookups *lookups, uint32_t crowd, enum dns_kind kind,
			     const char *name, struct lookup_wait *wait);

/* Ends the wait: `over` does not run any more. @wait may be in any state, or all zero. */
void lookup_wait_deinit(struct lookup_wait *wait);
