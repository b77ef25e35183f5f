/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Answers of the DNS, for whoever waits for them: from the cache while they hold; else a question is asked, once,
 * however many wait for it.
 *
 * lookup  a question under way. It goes on when nobody waits any more: c-ares cannot be told to forget one, and the
 *         answer is worth keeping.
 * wait    for one answer; a part of what its owner has
 */
#include <sys/queue.h>
#include <uv.h>

#include "common/mono.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/ares-loop.h"

struct lookups;
struct lookup_observer;

enum {
	/* Questions under way. Each stays until it is answered or its time is over, also when nobody waits for it:
	 * clients that name ever new domains and go away at once pile them up. */
	LOOKUPS_MAX = 2000,
};

enum lookups_result {
	LOOKUPS_ASKED,  /* `over` runs when the reply is there; if it was known already, it has run */
	LOOKUPS_E_BUSY, /* there are LOOKUPS_MAX questions under way */
};

struct lookup_wait {
	/* To be set before lookups_ask(). Runs once when the answer has come, perhaps from lookups_ask() itself,
	 * with c-ares on the stack: it must not ask, nor free the lookups. */
	void (*over)(struct lookup_wait *wait);
	bool is_over;
	struct dns_reply *reply; /* when over; NULL for want of memory. Belongs to the wait. */
	struct lookup *lookup; /* the lookups' own: until it is over */
	LIST_ENTRY(lookup_wait) in_lookup;
};

/* @observer is borrowed for the lookups' life; NULL: nobody. Returns as ares_loop_new(). */
_must_check_ int lookups_new(uv_loop_t *loop, const struct ares_loop_options *options,
			     const struct lookup_observer *observer, struct lookups **ret_lookups);

/* All waits must have been deinitialised. Memory of libuv's handles goes at a later turn of the loop. NULL is fine.
 * Returns NULL. */
struct lookups *lookups_free(struct lookups *lookups);

/* The time by which the lookups go: the loop's. */
struct mono lookups_now(const struct lookups *lookups);

/* Begins @wait, which the caller keeps in its place until it has deinitialised it, for @kind at @name (of
 * QUESTION_NAME_MAX characters at most, written in one case). Returns a LOOKUPS_..., or -ENOMEM. */
_must_check_ int lookups_ask(struct lookups *lookups, enum dns_kind kind, const char *name,
			     struct lookup_wait *wait);

/* Whatever has become of it; also one that was never begun, all zero. `over` does not run any more. */
void lookup_wait_deinit(struct lookup_wait *wait);
