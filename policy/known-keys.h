/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Remembers the keys that the servers of a domain have shown lately, so that a change can be
 * logged. An attacker between the gateway and a server may have obtained a valid certificate for
 * the domain; only the key in it differs. Pinned keys and DANE detect that. For all other domains
 * the log line is the only sign.
 *
 * An engine, shared by all workers and guarded by a mutex; used once for each full handshake.
 * Nothing outlives the process.
 */
#include "common/mono.h"
#include "policy/bucket.h"
#include "policy/domain-rules.h"

enum {
	/* Domains that are remembered. Clients can make the gateway visit any domain; the one that
	 * was visited least recently goes. */
	KNOWN_KEYS_DOMAINS_MAX = 1024,
	/* Keys of a domain: it may have several servers, each with its own. The one that was shown
	 * least recently goes. */
	KNOWN_KEYS_MAX = 4,
};

/* Changes that are reported. The owner of a domain can show a new key in each handshake, and must
 * not fill the log with that. */
#define KNOWN_KEYS_REPORTS ((struct bucket_rate){20, 60})

struct known_keys;

/* Returns 0 or a negative errno. */
_must_check_ int known_keys_new(struct known_keys **ret_keys);
struct known_keys *known_keys_free(struct known_keys *keys);

/* A server of @domain (ascii form) has shown @key in a handshake that succeeded. Returns true if it
 * is to be reported: the domain is remembered, but not with this key. *ret_last is then the key
 * that it showed last. A change that is one too many for KNOWN_KEYS_REPORTS is not remembered, and
 * so is reported when the key is shown again. */
bool known_keys_note(struct known_keys *keys, const char *domain, const struct pin *key,
		     struct mono now, struct pin *ret_last);
