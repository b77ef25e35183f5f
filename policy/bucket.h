/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Token buckets: how often something may happen, as a burst and a rate. An engine: the caller
 * passes the time, and locks when several threads use one table.
 *
 * rate    n tokens in a time. A bucket holds at most n tokens, and an empty one is full again after
 *         that time. So a burst of n is fine, and n in each such time for ever
 * bucket  one counter. All zero: full. It is one number, the time at which the bucket will be full
 * debt    what was taken beyond the last token; at most a whole bucket, so that the longest wait
 *         for a token is the time of the rate
 * table   buckets by key, of fixed size
 * key     64 bits that an attacker cannot choose at will to collide: bucket_key()
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/mono.h"

enum {
	/* Buckets of a table, 16 bytes each. The owner of an IPv6 /48 has 65,536 clients: memory
	 * must not grow with them. A key finds its bucket within one group; when all the group's
	 * are in use, the one that misses the least is given up, as if it had become full. So an
	 * attack from many addresses makes the table forget those who did little, and never those
	 * who did most. */
	BUCKET_TABLE_MAX = 16384,
	BUCKET_GROUP = 8,
	/* The ranges of a rate. */
	BUCKET_TOKENS_MAX = 1000000,
	BUCKET_SECONDS_MAX = 86400,
};

struct bucket_rate {
	uint32_t n_tokens; /* 0: no limit */
	uint32_t seconds;
};

struct bucket {
	int64_t full_us; /* on the clock of struct mono, in microseconds */
};

/* Takes a token. Returns false, and takes nothing, if there is none. */
bool bucket_take(struct bucket *bucket, struct bucket_rate rate, struct mono now);

/* Whether there is a token. */
bool bucket_has(const struct bucket *bucket, struct bucket_rate rate, struct mono now);

/* Takes a token that has been spent already, into debt if there is none. */
void bucket_charge(struct bucket *bucket, struct bucket_rate rate, struct mono now);

/* The milliseconds until there is a token; 0 if there is one. */
int64_t bucket_wait_ms(const struct bucket *bucket, struct bucket_rate rate, struct mono now);

struct bucket_table;

/* Returns 0 or a negative errno. */
_must_check_ int bucket_table_new(struct bucket_table **ret_table);
struct bucket_table *bucket_table_free(struct bucket_table *table);

/* The key of @client (as in client.h; may be NULL) and @name (may be empty). */
uint64_t bucket_key(const struct bucket_table *table, const struct address *client, struct sv name);

/* The bucket of @key, or NULL if it has none, which means that it is full. Borrowed until the next
 * call for the table. */
const struct bucket *bucket_table_find(const struct bucket_table *table, uint64_t key);

/* The bucket of @key, which gets one if it has none. Borrowed likewise. */
struct bucket *bucket_table_get(struct bucket_table *table, uint64_t key, struct mono now);

/* Reads "N/SECONDS", for example "20/60", or "0" for no limit. Returns 0, or -EINVAL when @text is
 * not a rate. */
_must_check_ int bucket_rate_parse(struct sv text, struct bucket_rate *ret_rate);
