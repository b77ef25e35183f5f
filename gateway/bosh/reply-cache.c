/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/reply-cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void bosh_reply_cache_init(struct bosh_reply_cache *cache, size_t n_max)
{
	*cache = (struct bosh_reply_cache){.n_max = n_max};
}

/* Drops @n from the @first on. */
static void drop(struct bosh_reply_cache *cache, size_t first, size_t n)
{
	struct bosh_reply *replies;

	assert(first + n <= cache->n);
	if (n == 0) {
		return;
	}
	replies = cache->items + first;
	for (size_t i = 0; i < n; i++) {
		cache->n_bytes -= replies[i].payloads.n;
		blob_unref(replies[i].blob);
	}
	cache->n -= n;
	memmove(replies, replies + n, (cache->n - first) * sizeof(*replies));
}

void bosh_reply_cache_deinit(struct bosh_reply_cache *cache)
{
	drop(cache, 0, cache->n);
	free(cache->items);
	cache->items = NULL;
	cache->size = 0;
}

/* Makes room for one more within the limits. */
static void drop_surplus(struct bosh_reply_cache *cache, bool is_extra)
{
	size_t n_counted = !is_extra, n = 1;

	for (size_t i = cache->n; i-- > 0;) {
		n_counted += !cache->items[i].is_extra;
		n++;
		if (n_counted > cache->n_max) {
			drop(cache, 0, i + 1);
			return;
		}
		if (cache->items[i].is_extra && n > cache->n_max + 1) {
			drop(cache, i, 1);
		}
	}
}

int bosh_reply_cache_reserve(struct bosh_reply_cache *cache, bool is_extra)
{
	size_t size = cache->size ? 2 * cache->size : 1;
	struct bosh_reply *items;

	drop_surplus(cache, is_extra);
	if (cache->n < cache->size) {
		return 0;
	}
	items = reallocarray(cache->items, size, sizeof(*items));
	if (!items) {
		return -ENOMEM;
	}
	cache->items = items;
	cache->size = size;
	return 0;
}

int bosh_reply_cache_put(struct bosh_reply_cache *cache, const struct bosh_reply *reply)
{
	int r = bosh_reply_cache_reserve(cache, reply->is_extra);

	if (r < 0) {
		return r;
	}
	/* Acknowledgements rely on the order. */
	assert(cache->n == 0 || cache->items[cache->n - 1].rid < reply->rid);
	cache->items[cache->n] = *reply;
	cache->items[cache->n].blob = blob_ref(reply->blob);
	cache->n++;
	cache->n_bytes += reply->payloads.n;
	return 0;
}

struct bosh_reply *bosh_reply_cache_find(const struct bosh_reply_cache *cache, uint64_t rid)
{
	for (size_t i = 0; i < cache->n; i++) {
		if (cache->items[i].rid == rid) {
			return &cache->items[i];
		}
	}
	return NULL;
}

void bosh_reply_cache_follow(struct bosh_reply_cache *cache)
{
	for (size_t i = 0; i < cache->n; i++) {
		cache->items[i].is_followed = true;
	}
}

void bosh_reply_cache_acknowledge(struct bosh_reply_cache *cache, uint64_t rid, struct mono now)
{
	size_t n = 0;

	while (n < cache->n && cache->items[n].rid <= rid) {
		n++;
	}
	drop(cache, 0, n);
	if (cache->n == 0 || cache->items[0].rid != rid + 1 || cache->reported == rid + 1) {
		return;
	}
	int64_t ms = mono_diff_ms(now, cache->items[0].answered);

	if (ms >= BOSH_REPORT_MS) {
		cache->missing = rid + 1;
		cache->missing_ms = ms < UINT16_MAX ? (unsigned)ms : UINT16_MAX;
	}
}

void bosh_reply_cache_set_reported(struct bosh_reply_cache *cache)
{
	cache->reported = cache->missing;
	cache->missing = 0;
}

void bosh_reply_cache_forget_stream(struct bosh_reply_cache *cache, unsigned stream)
{
	for (size_t i = 0; i < cache->n; i++) {
		struct bosh_reply *reply = &cache->items[i];

		if (reply->payloads.n && reply->stream == stream) {
			cache->n_bytes -= reply->payloads.n;
			reply->payloads = SV_EMPTY;
		}
	}
}
