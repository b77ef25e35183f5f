/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What became of the addresses that were dialled lately, as an engine: so that a dead address costs one session its
 * time, not all of them. One history a worker.
 *
 * won     it was connected to when others, dialled before it, were not: first next time
 * failed  it refused, could not be reached, or was so slow that another one won: last next time
 *
 * Nothing is noted of an address that just works, so that the DNS goes on sharing the load. An entry is not renewed by
 * use: when its time is over, one session finds out anew. Addresses are compared with their ports.
 */
#include "common/address.h"
#include "common/mono.h"

enum {
	/* Zones of strangers fill it; the oldest entry gives way. */
	HISTORY_MAX = 256,
	/* Long enough to spare most sessions, short enough that a server which is back gets its share again. */
	HISTORY_MS = 5 * 60 * 1000,
};

enum history_verdict {
	HISTORY_NOTHING,
	HISTORY_WON,
	HISTORY_FAILED,
};

struct history_entry {
	struct address address;
	enum history_verdict verdict;
	struct mono until;
};

/* All zero is an empty one. */
struct history {
	size_t n_entries;
	struct history_entry entries[HISTORY_MAX]; /* in no order */
};

/* What is known of @address at @now. */
enum history_verdict history_ask(const struct history *history, const struct address *address,
				 struct mono now);

/* Notes it for HISTORY_MS from @now on, instead of what was noted before; HISTORY_NOTHING forgets. */
void history_note(struct history *history, const struct address *address,
		  enum history_verdict verdict, struct mono now);
