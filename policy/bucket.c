/* SPDX-License-Identifier: MIT */
#include "policy/bucket.h"

#include <errno.h>
#include <stdlib.h>

#include "common/hash.h"
#include "policy/client.h"

enum {
	N_GROUPS = BUCKET_TABLE_MAX / BUCKET_GROUP,
};

struct entry {
	uint64_t key; /* 0: never used */
	struct bucket bucket;
};

struct bucket_table {
	struct hash_secret secret;
	struct entry groups[N_GROUPS][BUCKET_GROUP];
};

static int64_t token_us(struct bucket_rate rate)
{
	return (int64_t)rate.seconds * 1000000 / rate.n_tokens;
}

/* How much @bucket misses, as the time in which it comes back. */
static int64_t missing_us(const struct bucket *bucket, struct mono now)
{
	int64_t missing = bucket->full_us - now.ms * 1000;

	return missing > 0 ? missing : 0;
}

bool bucket_has(const struct bucket *bucket, struct bucket_rate rate, struct mono now)
{
	return bucket_wait_ms(bucket, rate, now) == 0;
}

int64_t bucket_wait_ms(const struct bucket *bucket, struct bucket_rate rate, struct mono now)
{
	if (rate.n_tokens == 0) {
		return 0;
	}
	/* The division may have rounded a token's time down, so tokens are counted by it. */
	int64_t over = missing_us(bucket, now) - token_us(rate) * (rate.n_tokens - 1);

	return over > 0 ? (over + 999) / 1000 : 0;
}

void bucket_charge(struct bucket *bucket, struct bucket_rate rate, struct mono now)
{
	if (rate.n_tokens == 0) {
		return;
	}
	int64_t missing = missing_us(bucket, now) + token_us(rate);
	int64_t most = 2 * token_us(rate) * rate.n_tokens;

	bucket->full_us = now.ms * 1000 + (missing < most ? missing : most);
}

bool bucket_take(struct bucket *bucket, struct bucket_rate rate, struct mono now)
{
	if (!bucket_has(bucket, rate, now)) {
		return false;
	}
	bucket_charge(bucket, rate, now);
	return true;
}

int bucket_table_new(struct bucket_table **ret_table)
{
	/* The kernel gives the memory when it is touched. */
	struct bucket_table *table = calloc(1, sizeof(*table));

	if (!table) {
		return -ENOMEM;
	}
	int r = hash_secret_init(&table->secret);

	if (r < 0) {
		free(table);
		return r;
	}
	*ret_table = table;
	return 0;
}

struct bucket_table *bucket_table_free(struct bucket_table *table)
{
	free(table);
	return NULL;
}

uint64_t bucket_key(const struct bucket_table *table, const struct address *client, struct sv name)
{
	const uint64_t parts[] = {client ? client_key(client) : 0,
				  hash_bytes(&table->secret, name.data, name.n)};
	uint64_t key = hash_bytes(&table->secret, parts, sizeof(parts));

	return key ? key : 1;
}

const struct bucket *bucket_table_find(const struct bucket_table *table, uint64_t key)
{
	const struct entry *group = table->groups[key % N_GROUPS];

	for (size_t i = 0; i < BUCKET_GROUP; i++) {
		if (group[i].key == key) {
			return &group[i].bucket;
		}
	}
	return NULL;
}

struct bucket *bucket_table_get(struct bucket_table *table, uint64_t key, struct mono now)
{
	struct entry *group = table->groups[key % N_GROUPS];
	struct entry *fullest = &group[0];

	for (size_t i = 0; i < BUCKET_GROUP; i++) {
		if (group[i].key == key) {
			return &group[i].bucket;
		}
		if (missing_us(&group[i].bucket, now) < missing_us(&fullest->bucket, now)) {
			fullest = &group[i];
		}
	}
	*fullest = (struct entry){.key = key};
	return &fullest->bucket;
}

int bucket_rate_parse(struct sv text, struct bucket_rate *ret_rate)
{
	size_t n = sv_find(text, '/');
	uint64_t tokens;
	uint64_t seconds;

	if (sv_eq(text, SV("0"))) {
		*ret_rate = (struct bucket_rate){0};
		return 0;
	}
	if (sv_to_u64(sv_first(text, n), BUCKET_TOKENS_MAX, &tokens) < 0 || tokens == 0 ||
	    sv_to_u64(sv_skip(text, n + 1), BUCKET_SECONDS_MAX, &seconds) < 0 || seconds == 0) {
		return -EINVAL;
	}
	*ret_rate = (struct bucket_rate){(uint32_t)tokens, (uint32_t)seconds};
	return 0;
}
