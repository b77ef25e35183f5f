/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Remembers the keys that the servers of a domain have shown lately, so that a change can be
 * logged. An attacker between the gateway and a server may have obtained a valid certificate for
 * the domain; only the key in it differs. Pinned keys and DANE detect that. For all other domains
 * the log line is the only sign.
 *
 * newcomer  each domain at first
 * settled   a newcomer that shows a known key KNOWN_KEYS_SETTLE_MS or more after its first visit,
 *           if there is room
 *
 * The attacker may own other domains, let his clients visit them, and show any keys there, so as to
 * hide the change:
 *
 * - A settled domain that is visited at least once in KNOWN_KEYS_KEPT_MS keeps its place, whatever
 *   other domains do. Newcomers take the places of newcomers only.
 * - How many changes of a settled domain are reported depends on that domain alone. Newcomers also
 *   share KNOWN_KEYS_REPORTS.
 * - Changes that were not reported are counted (known_keys_missed()).
 *
 * What strangers can write into the log is bounded: KNOWN_KEYS_DOMAIN_REPORTS for each of the
 * KNOWN_KEYS_SETTLED_MAX settled domains, and KNOWN_KEYS_REPORTS for all newcomers.
 *
 * A newcomer is not protected. The attacker can make the gateway forget it with
 * KNOWN_KEYS_NEWCOMERS_MAX names of his own. He can use up KNOWN_KEYS_REPORTS, so that its change
 * is only counted. He can settle KNOWN_KEYS_SETTLED_MAX names of his own in four hours, so that no
 * other domain settles. If he has the connection to a domain from the first visit on, the log shows
 * nothing. Only pinned keys and DANE help there.
 *
 * An engine, shared by all workers and guarded by a mutex; used once for each full handshake.
 * Nothing outlives the process.
 */
#include "common/mono.h"
#include "policy/bucket.h"
#include "policy/domain-rules.h"

enum {
	/* Newcomers that are remembered. Clients can make the gateway visit any domain; the one
	 * that was visited least recently goes. */
	KNOWN_KEYS_NEWCOMERS_MAX = 256,
	/* Settled domains. If there are as many, the one that was visited least recently goes, but
	 * only after KNOWN_KEYS_KEPT_MS; until then no other settles. */
	KNOWN_KEYS_SETTLED_MAX = 1024,
	/* How long a domain is a newcomer at least. If it were shorter, an attacker could fill the
	 * places of settled domains with his own names at once. */
	KNOWN_KEYS_SETTLE_MS = 60 * 60 * 1000,
	/* How long a settled domain keeps its place without a visit. If the one that was visited
	 * least recently went at once, an attacker would only have to visit his own names. */
	KNOWN_KEYS_KEPT_MS = 7 * 24 * 60 * 60 * 1000,
	/* Keys of a domain: it may have several servers, each with its own. The one that was shown
	 * least recently goes. */
	KNOWN_KEYS_MAX = 4,
};

/* Changes of one domain that are reported. The owner of a domain can show a new key in each
 * handshake, and must not fill the log with that. */
#define KNOWN_KEYS_DOMAIN_REPORTS ((struct bucket_rate){4, 3600})

/* Changes of all newcomers that are reported: an attacker has as many names as he likes. */
#define KNOWN_KEYS_REPORTS ((struct bucket_rate){20, 60})

/* How often known_keys_missed() tells a count. Otherwise each change that was not reported would be
 * a line, too. */
#define KNOWN_KEYS_COUNTS ((struct bucket_rate){1, 60})

struct known_keys;

/* Returns 0 or a negative errno. */
_must_check_ int known_keys_new(struct known_keys **ret_keys);
struct known_keys *known_keys_free(struct known_keys *keys);

/* A server of @domain (ascii form) has shown @key in a handshake that succeeded. Returns true if it
 * is to be reported: the domain is remembered, but not with this key. *ret_last is then the key
 * that it showed last. A change that is one too many for the rates is not remembered, and so is
 * reported when the key is shown again later. */
bool known_keys_note(struct known_keys *keys, const char *domain, const struct pin *key,
		     struct mono now, struct pin *ret_last);

/* How many changes were not reported since the last call that returned more than 0. Returns 0 if
 * that call was too recent for KNOWN_KEYS_COUNTS. */
uint64_t known_keys_missed(struct known_keys *keys, struct mono now);
