/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/lookups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/upstream/dns/cache.h"
#include "gateway/upstream/observer.h"
#include "gateway/upstream/dns/question.h"

/* Without this, uthash ends the process when out of memory. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->add_failed = true)
#include <uthash.h>

struct lookups {
	uv_loop_t *loop;
	struct ares_loop *ares;
	struct dns_cache *cache;
	const struct lookup_observer *observer; /* may be NULL */
	struct lookup *lookups[DNS_KIND_COUNT]; /* uthash by name */
	size_t n_lookups;
};

struct lookup {
	UT_hash_handle hh;
	struct lookups *lookups;
	struct question question;
	LIST_HEAD(, lookup_wait) waits; /* lookup_wait::in_lookup */
	uint64_t asked_ns;
	bool add_failed; /* uthash was out of memory */
};

int lookups_new(uv_loop_t *loop, const struct ares_loop_options *options,
		const struct lookup_observer *observer, struct lookups **ret_lookups)
{
	struct lookups *lookups = calloc(1, sizeof(*lookups));
	int r = lookups ? dns_cache_new(&lookups->cache) : -ENOMEM;

	if (r == 0) {
		r = ares_loop_new(loop, options, &lookups->ares);
	}
	if (r < 0) {
		lookups_free(lookups);
		return r;
	}
	lookups->loop = loop;
	lookups->observer = observer;
	*ret_lookups = lookups;
	return 0;
}

struct lookups *lookups_free(struct lookups *lookups)
{
	if (lookups) {
		/* Ends all lookups under way by answering them. */
		ares_loop_free(lookups->ares);
		dns_cache_free(lookups->cache);
		free(lookups);
	}
	return NULL;
}

bool lookups_are_idle(const struct lookups *lookups)
{
	return lookups->n_lookups == 0;
}

struct mono lookups_now(const struct lookups *lookups)
{
	return (struct mono){(int64_t)uv_now(lookups->loop)};
}

static void notify_observer(const struct lookups *lookups, enum dns_kind kind, const char *name,
			    const struct dns_reply *reply)
{
	if (lookups->observer) {
		lookups->observer->answered(lookups->observer->userdata, kind, name, reply);
	}
}

/* Takes over a reference to @reply. */
static void wait_end(struct lookup_wait *wait, struct dns_reply *reply)
{
	wait->reply = reply;
	wait->is_over = true;
	wait->over(wait);
}

static void on_answered(struct question *question, struct dns_reply *reply)
{
	struct lookup *lookup = CONTAINER_OF(question, struct lookup, question);
	struct lookups *lookups = lookup->lookups;
	struct lookup_wait *wait;

	notify_observer(lookups, question->kind, question->name, reply);
	if (lookups->observer && lookups->observer->took) {
		lookups->observer->took(lookups->observer->userdata,
					(int64_t)(uv_hrtime() - lookup->asked_ns) / 1000);
	}
	if (reply) {
		dns_cache_put(lookups->cache, question->kind, question->name, reply,
			      lookups_now(lookups));
	}
	while ((wait = LIST_FIRST(&lookup->waits))) {
		LIST_REMOVE(wait, in_lookup);
		wait->lookup = NULL;
		wait_end(wait, reply ? dns_reply_ref(reply) : NULL);
	}
	HASH_DEL(lookups->lookups[question->kind], lookup);
	lookups->n_lookups--;
	free(lookup);
	dns_reply_unref(reply);
}

/* Returns 0, LOOKUPS_E_BUSY, or -ENOMEM. */
static int lookup_new(struct lookups *lookups, enum dns_kind kind, const char *name,
		      struct lookup **ret_lookup)
{
	struct lookup *lookup;

	if (lookups->n_lookups >= LOOKUPS_MAX) {
		return LOOKUPS_E_BUSY;
	}
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup) {
		return -ENOMEM;
	}
	lookup->lookups = lookups;
	lookup->asked_ns = uv_hrtime();
	lookup->question.kind = kind;
	lookup->question.answered = on_answered;
	memcpy(lookup->question.name, name, strlen(name) + 1);
	HASH_ADD_STR(lookups->lookups[kind], question.name, lookup);
	if (lookup->add_failed) {
		free(lookup);
		return -ENOMEM;
	}
	lookups->n_lookups++;
	*ret_lookup = lookup;
	return 0;
}

static void wait_join(struct lookup_wait *wait, struct lookup *lookup)
{
	wait->lookup = lookup;
	LIST_INSERT_HEAD(&lookup->waits, wait, in_lookup);
}

int lookups_ask(struct lookups *lookups, enum dns_kind kind, const char *name,
		struct lookup_wait *wait)
{
	struct dns_reply *kept = dns_cache_find(lookups->cache, kind, name, lookups_now(lookups));
	struct lookup *lookup;

	if (kept) {
		notify_observer(lookups, kind, name, kept);
		wait_end(wait, kept);
		return LOOKUPS_ASKED;
	}
	HASH_FIND_STR(lookups->lookups[kind], name, lookup);
	if (lookup) {
		wait_join(wait, lookup);
		return LOOKUPS_ASKED;
	}
	int r = lookup_new(lookups, kind, name, &lookup);

	if (r != 0) {
		return r;
	}
	wait_join(wait, lookup);
	if (lookups->observer) {
		lookups->observer->asked(lookups->observer->userdata, kind, name);
	}
	question_ask(&lookup->question, lookups->ares);
	return LOOKUPS_ASKED;
}

void lookup_wait_deinit(struct lookup_wait *wait)
{
	if (wait->lookup) {
		LIST_REMOVE(wait, in_lookup);
		wait->lookup = NULL;
	}
	wait->reply = dns_reply_unref(wait->reply);
}
