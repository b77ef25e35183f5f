/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/lookups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/table.h"
#include "gateway/upstream/dns/cache.h"
#include "gateway/upstream/observer.h"
#include "gateway/upstream/dns/question.h"

struct lookups {
	struct hash_secret secret;
	uv_loop_t *loop;
	struct ares_loop *ares;
	struct dns_cache *cache;
	const struct lookup_observer *observer; /* may be NULL */
	struct lookup *lookups[DNS_KIND_COUNT]; /* uthash by name; the newest of each */
	size_t n_lookups;
	size_t n_of_crowd[TURN_CROWDS + 1]; /* the last: those of no crowd */
	uint64_t first_try_ns;
};

struct lookup {
	UT_hash_handle hh;
	struct lookups *lookups;
	struct question question;
	LIST_HEAD(, lookup_wait) waits; /* lookup_wait::in_lookup */
	size_t crowd;                   /* place in n_of_crowd */
	struct lookup *older, *newer;   /* of the same question, in this order; may be NULL */
	unsigned n_renewals;            /* that led to this one */
	uint64_t asked_ns;
	bool is_newest; /* it is in the table */
};

static struct lookup *lookup_find(const struct lookups *lookups, enum dns_kind kind,
				  const char *name)
{
	size_t n_name = strlen(name);
	unsigned hash = hash_value(&lookups->secret, name, n_name);
	struct lookup *lookup;

	HASH_FIND_BYHASHVALUE(hh, lookups->lookups[kind], name, n_name, hash, lookup);
	return lookup;
}

static uint32_t crowd_of(void *userdata, enum dns_kind kind, const char *name)
{
	const struct lookup *lookup = lookup_find(userdata, kind, name);

	return lookup ? (uint32_t)lookup->crowd : TURN_NO_CROWD;
}

/* What c-ares does is charged to those who have asked, the first of each question. */
static int start_ares(struct lookups *lookups, const struct ares_loop_options *options)
{
	struct ares_loop_options of_ares = *options;

	of_ares.bill.crowd_of = crowd_of;
	of_ares.bill.userdata = lookups;
	return ares_loop_new(lookups->loop, &of_ares, &lookups->ares);
}

int lookups_new(uv_loop_t *loop, const struct ares_loop_options *options,
		const struct lookup_observer *observer, struct lookups **ret_lookups)
{
	struct lookups *lookups = calloc(1, sizeof(*lookups));
	int r = lookups ? hash_secret_init(&lookups->secret) : -ENOMEM;

	if (r == 0) {
		r = dns_cache_new(&lookups->cache);
	}
	if (r == 0) {
		lookups->loop = loop;
		r = start_ares(lookups, options);
	}
	if (r < 0) {
		lookups_free(lookups);
		return r;
	}
	lookups->observer = observer;
	lookups->first_try_ns = (uint64_t)options->timeout_ms * 1000 * 1000;
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

static void waits_end(struct lookup *lookup, struct dns_reply *reply)
{
	struct lookup_wait *wait;

	while ((wait = LIST_FIRST(&lookup->waits))) {
		LIST_REMOVE(wait, in_lookup);
		wait->lookup = NULL;
		wait_end(wait, reply ? dns_reply_ref(reply) : NULL);
	}
}

/* On failure, hh.tbl is NULL. */
static void lookup_enter_table(struct lookups *lookups, struct lookup *lookup)
{
	const struct question *question = &lookup->question;
	size_t n_name = strlen(question->name);
	unsigned hash = hash_value(&lookups->secret, question->name, n_name);

	HASH_ADD_BYHASHVALUE(hh, lookups->lookups[question->kind], question.name, n_name, hash,
			     lookup);
}

static void lookup_leave_table(struct lookup *lookup)
{
	if (lookup->is_newest) {
		HASH_DEL(lookup->lookups->lookups[lookup->question.kind], lookup);
		lookup->is_newest = false;
	}
}

static void lookup_free(struct lookup *lookup)
{
	lookup_leave_table(lookup);
	if (lookup->newer) {
		lookup->newer->older = lookup->older;
	}
	if (lookup->older) {
		lookup->older->newer = lookup->newer;
	}
	lookup->lookups->n_lookups--;
	lookup->lookups->n_of_crowd[lookup->crowd]--;
	free(lookup);
}

static void on_answered(struct question *question, struct dns_reply *reply)
{
	struct lookup *lookup = CONTAINER_OF(question, struct lookup, question);
	struct lookups *lookups = lookup->lookups;
	bool is_answer =
		reply && (reply->result == RESOLVER_OK || reply->result == RESOLVER_NO_NAME);

	notify_observer(lookups, question->kind, question->name, reply);
	if (lookups->observer && lookups->observer->took) {
		lookups->observer->took(lookups->observer->userdata,
					(int64_t)(uv_hrtime() - lookup->asked_ns) / 1000);
	}
	if (is_answer || (reply && lookup->is_newest)) {
		dns_cache_put(lookups->cache, question->kind, question->name, reply,
			      clock_of_loop(lookups->loop));
	}
	for (struct lookup *at = lookup; at; at = at->older) {
		waits_end(at, reply);
	}
	for (struct lookup *at = lookup->newer; is_answer && at; at = at->newer) {
		waits_end(at, reply);
	}
	ares_loop_charge(lookups->ares, (uint32_t)lookup->crowd);
	lookup_free(lookup);
	dns_reply_unref(reply);
}

static size_t crowd_place(uint32_t crowd)
{
	return crowd == TURN_NO_CROWD ? TURN_NO_CROWD : crowd % TURN_CROWDS;
}

/* Whether one more question may be asked for @crowd: LOOKUPS_ASKED, or why not. */
static enum lookups_result may_ask(const struct lookups *lookups, uint32_t crowd)
{
	if (lookups->n_lookups >= LOOKUPS_MAX) {
		return LOOKUPS_E_BUSY;
	}
	return crowd != TURN_NO_CROWD &&
			       lookups->n_of_crowd[crowd_place(crowd)] >= LOOKUPS_CROWD_MAX
		     ? LOOKUPS_E_CROWD
		     : LOOKUPS_ASKED;
}

/* Returns a LOOKUPS_..., or -ENOMEM. */
static int lookup_new(struct lookups *lookups, uint32_t crowd, enum dns_kind kind, const char *name,
		      struct lookup **ret_lookup)
{
	enum lookups_result result = may_ask(lookups, crowd);
	struct lookup *lookup;

	if (result != LOOKUPS_ASKED) {
		return result;
	}
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup) {
		return -ENOMEM;
	}
	lookup->lookups = lookups;
	lookup->crowd = crowd_place(crowd);
	lookup->asked_ns = uv_hrtime();
	lookup->question.kind = kind;
	lookup->question.answered = on_answered;
	memcpy(lookup->question.name, name, strlen(name) + 1);
	lookup_enter_table(lookups, lookup);
	if (!lookup->hh.tbl) {
		free(lookup);
		return -ENOMEM;
	}
	lookup->is_newest = true;
	lookups->n_lookups++;
	lookups->n_of_crowd[lookup->crowd]++;
	*ret_lookup = lookup;
	return LOOKUPS_ASKED;
}

static void wait_join(struct lookup_wait *wait, struct lookup *lookup)
{
	wait->lookup = lookup;
	LIST_INSERT_HEAD(&lookup->waits, wait, in_lookup);
}

/* Whether to ask anew for @crowd rather than to wait for @lookup. */
static bool lookup_is_stale(const struct lookup *lookup, uint32_t crowd)
{
	return uv_hrtime() - lookup->asked_ns >= lookup->lookups->first_try_ns &&
	       lookup->n_renewals < LOOKUPS_RENEWALS_MAX &&
	       may_ask(lookup->lookups, crowd) == LOOKUPS_ASKED;
}

/* Puts @lookup before @older, which may be NULL, and has left the table. */
static void lookup_renew(struct lookup *lookup, struct lookup *older)
{
	if (older) {
		lookup->n_renewals = older->n_renewals + 1;
		lookup->older = older;
		older->newer = lookup;
	}
}

int lookups_ask(struct lookups *lookups, uint32_t crowd, enum dns_kind kind, const char *name,
		struct lookup_wait *wait)
{
	struct dns_reply *kept =
		dns_cache_find(lookups->cache, kind, name, clock_of_loop(lookups->loop));
	struct lookup *lookup;

	if (kept) {
		notify_observer(lookups, kind, name, kept);
		wait_end(wait, kept);
		return LOOKUPS_ASKED;
	}
	struct lookup *older = lookup_find(lookups, kind, name);

	if (older && !lookup_is_stale(older, crowd)) {
		wait_join(wait, older);
		return LOOKUPS_ASKED;
	}
	if (older) {
		lookup_leave_table(older);
	}
	int r = lookup_new(lookups, crowd, kind, name, &lookup);

	if (r != LOOKUPS_ASKED) {
		return r;
	}
	lookup_renew(lookup, older);
	wait_join(wait, lookup);
	if (lookups->observer && lookups->observer->asked) {
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
