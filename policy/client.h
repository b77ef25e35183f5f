/* SPDX-License-Identifier: MIT */
#pragma once
/* What counts as one client. forwarded.h tells who is behind a proxy. */
#include "common/address.h"
#include "common/hash.h"

/* Identifies a client: the IPv4 address, or the /64 of the IPv6 address, because one subscriber
 * usually has a whole /64. */
uint64_t client_key(const struct address *client);

/* Hashes a client_key() for a table of clients. The owner of many /64 networks chooses half of the
 * bits of their keys, so each table has its own secret (hash.h). */
unsigned client_hash(uint64_t key, const struct hash_secret *secret);

/* Whether both addresses belong to the same client. Ports do not matter. */
bool client_is_same(const struct address *a, const struct address *b);
