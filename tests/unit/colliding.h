/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Keys that a stranger would choose for a table of uthash whose hash he can compute: each ten of
 * them double the memory of its buckets. See common/hash.h.
 */
#include <stddef.h>
#include <string.h>
#include <uthash.h>

enum {
	/* The others fill some 64 buckets of 16 bytes; each group doubles them, to 1 MB. */
	COLLIDING_GROUPS = 10,
	COLLIDING_IN_GROUP = HASH_BKT_CAPACITY_THRESH,
	COLLIDING_KEYS = COLLIDING_GROUPS * COLLIDING_IN_GROUP,
	COLLIDING_KEY_SIZE = 64,
	/* uthash gives up when more than half of the keys collide. So there are as many that do
	 * not; what is in their buckets by chance must not count either. */
	COLLIDING_OTHERS = 2 * COLLIDING_KEYS,
	/* What the largest block of a table with so many keys may have. */
	COLLIDING_BLOCK_MAX = 64 * 1024,
};

/* Writes @prefix and a host name for @n. Returns the length. */
static inline size_t colliding_name(const char *prefix, unsigned n, char key[COLLIDING_KEY_SIZE])
{
	static const char name[] = "00000000.example";
	size_t n_prefix = strlen(prefix);
	char *digits = key + n_prefix;

	memcpy(key, prefix, n_prefix);
	memcpy(digits, name, sizeof(name));
	for (; n; n >>= 4) {
		*digits++ = (char)('a' + n % 16);
	}
	return n_prefix + sizeof(name) - 1;
}

/* Makes the keys that do not collide, then those that do. @make writes a key for a number, and
 * returns its length; @add adds it to the table. */
static inline void colliding_each(size_t (*make)(unsigned n, char key[COLLIDING_KEY_SIZE]),
				  void (*add)(void *userdata, const char *key), void *userdata)
{
	unsigned n = 0;
	char key[COLLIDING_KEY_SIZE];

	while (n < COLLIDING_OTHERS) {
		make(n++, key);
		add(userdata, key);
	}
	for (unsigned group = 0; group < COLLIDING_GROUPS; group++) {
		unsigned mask = (1U << (8 + group)) - 1;

		for (unsigned i = 0; i < COLLIDING_IN_GROUP;) {
			unsigned hash;
			size_t length = make(n++, key);

			HASH_JEN(key, length, hash);
			if ((hash & mask) == group) {
				add(userdata, key);
				i++;
			}
		}
	}
}
