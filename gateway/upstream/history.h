/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Remembers what became of the addresses dialled lately, so that a dead address delays one session
 * instead of all of them. An engine; each worker has one history. It only changes the order in
 * which addresses are dialled; none is ever left out.
 *
 * won       connected while addresses dialled before it had not: dialled first next time
 * failed    refused the connection, could not be reached, or was so slow that another address won:
 *           dialled late next time
 * unusable  connected, but then stayed silent until its time-out, or failed at TLS: dialled last
 *           next time, for that domain
 *
 * Whether an address accepts connections concerns the address, so it is noted for all domains. What
 * a server does afterwards depends on the domain: anybody's SRV records can name a server that has
 * no certificate for their domain and need not serve it. If that counted for all domains, a
 * stranger could divert the traffic of the server's own domains. So `unusable` counts for one
 * domain.
 *
 * An address that simply works gets no entry, so the DNS goes on distributing the load. Use does
 * not renew an entry: after it has expired, one session finds out again. Ports are part of an
 * address.
 */
#include "common/address.h"
#include "common/mono.h"
#include "policy/domain.h"

enum {
	/* Bounds memory against strangers whose zones name addresses that fail, or who use ever new
	 * domains. The oldest entry gives way, which costs one more session the delay of a dead
	 * address. */
	HISTORY_MAX = 256,
	/* Long enough to spare most sessions the delay, short enough that a repaired server soon
	 * gets its share of the load again. */
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
	char domain[DOMAIN_MAX + 1]; /* "" for all domains; set for HISTORY_UNUSABLE only */
	enum history_verdict verdict;
	struct mono until;
};

/* Zero-initialised: empty. */
struct history {
	size_t n_entries;
	struct history_entry entries[HISTORY_MAX]; /* unordered */
};

/* Returns the verdict on @address for @domain (ascii form; "" for none). HISTORY_UNUSABLE takes
 * precedence. */
enum history_verdict history_ask(const struct history *history, const char *domain,
				 const struct address *address, struct mono now);

/* Notes @verdict, HISTORY_WON or HISTORY_FAILED, for HISTORY_MS from @now; it replaces an earlier
 * one. HISTORY_NOTHING forgets the earlier one. Holds for all domains and does not affect
 * HISTORY_UNUSABLE. */
void history_note(struct history *history, const struct address *address,
		  enum history_verdict verdict, struct mono now);

/* Notes for HISTORY_MS from @now that @address is unusable for @domain (at most DOMAIN_MAX
 * characters). */
void history_note_unusable(struct history *history, const char *domain,
			   const struct address *address, struct mono now);

/* @address has served @domain: forgets that it was unusable for it. */
void history_forget_unusable(struct history *history, const char *domain,
			     const struct address *address, struct mono now);
