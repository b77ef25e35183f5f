/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What became of the addresses that were dialled lately, as an engine: so that a dead address costs
 * one session its time, not all of them. One history a worker. It only puts addresses into another
 * order; none is ever left out.
 *
 * won       it was connected to when others, dialled before it, were not: first next time
 * failed    it refused, could not be reached, or was so slow that another one won: late next time
 * unusable  it was connected to, and then said nothing in its time, or failed at TLS: last next
 *           time, for that domain
 *
 * Whether an address can be connected to is a fact about the address, so that is noted for all
 * domains. What a server says once it is connected depends on the domain it is asked for: a
 * stranger's SRV records can name anybody's server, which has no certificate for the stranger's
 * domain and need not answer for it. Noted for all domains, that would move the traffic of the
 * server's own domains away from it. So such a note counts for that one domain only.
 *
 * Nothing is noted of an address that just works, so that the DNS goes on sharing the load. An
 * entry is not renewed by use: when its time is over, one session finds out anew. Addresses are
 * compared with their ports.
 */
#include "common/address.h"
#include "common/mono.h"
#include "policy/domain.h"

enum {
	/* Zones of strangers fill it, with addresses that fail or with ever new domains; the oldest
	 * entry gives way. Then a dead address costs one more session its time. */
	HISTORY_MAX = 256,
	/* Long enough to spare most sessions, short enough that a server which is back gets its share again. */
	HISTORY_MS = 5 * 60 * 1000,
};

enum history_verdict {
	HISTORY_NOTHING,
	HISTORY_WON,
	HISTORY_FAILED,
	HISTORY_UNUSABLE,
};

struct history_entry {
	struct address address;
	char domain[DOMAIN_MAX + 1]; /* "" for all domains; only HISTORY_UNUSABLE has one */
	enum history_verdict verdict;
	struct mono until;
};

/* All zero is an empty one. */
struct history {
	size_t n_entries;
	struct history_entry entries[HISTORY_MAX]; /* in no order */
};

/* What is known of @address at @now for @domain (ascii form; "" for none in particular): that it is
 * unusable goes before the rest. */
enum history_verdict history_ask(const struct history *history, const char *domain,
				 const struct address *address, struct mono now);

/* Notes HISTORY_WON or HISTORY_FAILED for HISTORY_MS from @now on, instead of what was noted
 * before; HISTORY_NOTHING forgets. For all domains; what is unusable for one stays so. */
void history_note(struct history *history, const struct address *address,
		  enum history_verdict verdict, struct mono now);

/* Notes for HISTORY_MS from @now on that @address is unusable for @domain, of DOMAIN_MAX characters
 * at most. */
void history_note_unusable(struct history *history, const char *domain,
			   const struct address *address, struct mono now);

/* @address has served @domain: forgets that it was unusable. */
void history_forget_unusable(struct history *history, const char *domain,
			     const struct address *address, struct mono now);
