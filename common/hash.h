/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The hash of keys that strangers choose, for tables of uthash: SipHash-2-4 with a secret for each
 * table. Nobody can predict which keys share a bucket.
 *
 * With the hash that uthash has by itself anybody can compute such keys. Chains get long, which
 * costs time; what is worse, uthash doubles its buckets whenever one of them has ten keys more than
 * it should, as long as half of all keys are spread well. So ten keys of the same hash, beside ten
 * harmless ones, double the memory: a table of 210 such names, and 290 others, took 4 GB.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct hash_secret {
	uint64_t words[2];
};

/* Returns 0 or a negative errno. */
_must_check_ int hash_secret_init(struct hash_secret *secret);

/* The 64 bits of SipHash-2-4. @data may be NULL if @n is 0. */
uint64_t hash_bytes(const struct hash_secret *secret, const void *data, size_t n);

/* What the macros of uthash whose names end with BYHASHVALUE want. */
static inline unsigned hash_value(const struct hash_secret *secret, const void *data, size_t n)
{
	return (unsigned)hash_bytes(secret, data, n);
}
