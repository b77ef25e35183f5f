/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/resolver.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/ascii.h"
#include "common/clock.h"
#include "common/timeout.h"
#include "gateway/upstream/dns/lookups.h"
#include "gateway/upstream/dns/question.h"

enum {
	WAITS_MAX = 2, /* the two services */
	/* How long queries that are finished may hold up the rest of the loop in one iteration,
	 * plus the time of the last of them: each may begin to connect. Without it, clients that
	 * open as many sessions as they may, to a domain whose DNS is slow, would make everybody
	 * else wait when its reply comes. */
	DELIVER_US = 2000,
	NS_PER_US = 1000,
};

TAILQ_HEAD(query_queue, resolver_query);

/* Replies may come at any time, even inside the call that asks. So they are only noted then, and
 * delivered in one place, resolver_deliver(), outside of c-ares. */
struct resolver {
	uv_timer_t delivery;
	/* of the first grace period; its own, so that deliveries do not put it off */
	struct timeout grace;
	uv_loop_t *loop;
	const struct lookup_observer *observer; /* may be NULL */
	struct lookups *lookups;
	SLIST_HEAD(, retired) retired;       /* lookups of earlier servers, until they have ended */
	LIST_HEAD(, resolver_query) queries; /* resolver_query::in_resolver */
	struct query_queue finished;         /* resolver_query::in_queue: to be delivered */
	/* likewise, by deadline: one service has answered with targets, the other has not yet */
	struct query_queue in_grace;
	int64_t grace_ms;
	unsigned n_handles; /* not closed yet */
	bool is_closing;
};

struct retired {
	SLIST_ENTRY(retired) in_resolver;
	struct lookups *lookups;
};

struct resolver_query {
	struct resolver *resolver;
	LIST_ENTRY(resolver_query) in_resolver;
	TAILQ_ENTRY(resolver_query) in_queue;
	struct query_queue *queue; /* the queue that it is in, or NULL */
	struct mono deadline;      /* of the grace period */
	uint32_t crowd;
	enum dns_kind kind;
	union {
		resolver_srv_done srv;
		resolver_addresses_done addresses;
		resolver_tlsa_done tlsa;
	} done; /* by kind */
	void *userdata;
	uint16_t port;
	size_t n_waits;
	struct query_wait {
		struct lookup_wait wait;
		struct resolver_query *query;
	} waits[WAITS_MAX];
};

/* Queries. */

static void query_move(struct resolver_query *query, struct query_queue *queue)
{
	if (query->queue) {
		TAILQ_REMOVE(query->queue, query, in_queue);
	}
	query->queue = queue;
	if (queue) {
		TAILQ_INSERT_TAIL(queue, query, in_queue);
	}
}

/* Removes the query from the resolver. */
static void query_detach(struct resolver_query *query)
{
	query_move(query, NULL);
	LIST_REMOVE(query, in_resolver);
}

static void query_free(struct resolver_query *query)
{
	for (size_t i = 0; i < query->n_waits; i++) {
		lookup_wait_deinit(&query->waits[i].wait);
	}
	free(query);
}

/* NULL until the reply is there. */
static const struct dns_reply *query_reply(const struct resolver_query *query, size_t i)
{
	return query->waits[i].wait.reply;
}

static bool query_has_targets(const struct resolver_query *query, size_t i)
{
	const struct dns_reply *reply = query_reply(query, i);

	return query->kind == DNS_KIND_SRV && reply && reply->result == RESOLVER_OK &&
	       !srv_offers_nothing(reply->targets, reply->n_records);
}

static void on_over(struct lookup_wait *wait)
{
	struct resolver_query *query = CONTAINER_OF(wait, struct query_wait, wait)->query;
	struct resolver *resolver = query->resolver;
	bool is_finished = true;
	bool has_targets = false;

	for (size_t i = 0; i < query->n_waits; i++) {
		is_finished = is_finished && query->waits[i].wait.is_over;
		has_targets = has_targets || query_has_targets(query, i);
	}
	if (is_finished) {
		query_move(query, &resolver->finished);
	} else if (has_targets) {
		query->deadline = mono_add_ms(clock_of_loop(resolver->loop), resolver->grace_ms);
		query_move(query, &resolver->in_grace);
	}
}

/* Delivery. */

static void deliver_srv(const struct resolver_query *query)
{
	struct srv_set set;
	enum resolver_result result = srv_merge(query_reply(query, 0), query_reply(query, 1), &set);

	query->done.srv(query->userdata, result, set.n_targets ? set.targets : NULL, set.n_targets);
}

static void deliver_addresses(const struct resolver_query *query)
{
	const struct dns_reply *reply = query_reply(query, 0);
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	size_t n = reply ? reply->n_records : 0;

	assert(n <= RESOLVER_ADDRESSES_MAX);
	for (size_t i = 0; i < n; i++) {
		addresses[i] = reply->addresses[i];
		address_set_port(&addresses[i], query->port);
	}
	query->done.addresses(query->userdata, reply ? reply->result : RESOLVER_FAILED,
			      n ? addresses : NULL, n);
}

static void deliver_tlsa(const struct resolver_query *query)
{
	const struct dns_reply *reply = query_reply(query, 0);
	struct tlsa_set set;

	if (!reply || reply->result != RESOLVER_OK || !reply->is_authentic) {
		enum resolver_result result = reply ? reply->result : RESOLVER_FAILED;

		query->done.tlsa(query->userdata, result == RESOLVER_OK ? RESOLVER_NO_NAME : result,
				 NULL);
		return;
	}
	assert(reply->n_records <= TLSA_RECORDS_MAX);
	set.n_records = reply->n_records;
	memcpy(set.records, reply->tlsa, reply->n_records * sizeof(*reply->tlsa));
	query->done.tlsa(query->userdata, RESOLVER_OK, &set);
}

static void query_deliver(const struct resolver_query *query)
{
	switch (query->kind) {
	case DNS_KIND_SRV:
		deliver_srv(query);
		break;
	case DNS_KIND_ADDRESSES:
		deliver_addresses(query);
		break;
	case DNS_KIND_TLSA:
		deliver_tlsa(query);
		break;
	case DNS_KIND_COUNT:
		break;
	}
}

static void on_delivery(uv_timer_t *timer);
static void on_grace_over(struct timeout *timer);

/* @finished_ms: when queries that are finished are delivered. */
static void resolver_arm(struct resolver *resolver, uint64_t finished_ms)
{
	struct resolver_query *in_grace = TAILQ_FIRST(&resolver->in_grace);

	if (resolver->is_closing) {
		return;
	}
	if (!TAILQ_EMPTY(&resolver->finished)) {
		uv_timer_start(&resolver->delivery, on_delivery, finished_ms, 0);
	} else {
		uv_timer_stop(&resolver->delivery);
	}
	if (in_grace) {
		timeout_start(&resolver->grace, on_grace_over,
			      mono_diff_ms(in_grace->deadline, clock_of_loop(resolver->loop)));
	} else {
		timeout_stop(&resolver->grace);
	}
}

/* Callbacks may ask, cancel queries, and free the resolver, which empties the queues. */
static void resolver_deliver(struct resolver *resolver)
{
	uint64_t end_ns = uv_hrtime() + (uint64_t)DELIVER_US * NS_PER_US;
	bool is_over = false;
	struct resolver_query *query;

	while (!is_over && (query = TAILQ_FIRST(&resolver->finished))) {
		query_detach(query);
		query_deliver(query);
		query_free(query);
		is_over = uv_hrtime() >= end_ns;
	}
	/* The timer itself may have called this: libuv would run one of 0 in the same pass. */
	resolver_arm(resolver, 1);
}

static void on_delivery(uv_timer_t *timer)
{
	resolver_deliver(CONTAINER_OF(timer, struct resolver, delivery));
}

static void on_grace_over(struct timeout *timer)
{
	struct resolver *resolver = CONTAINER_OF(timer, struct resolver, grace);
	struct resolver_query *query;

	while ((query = TAILQ_FIRST(&resolver->in_grace)) &&
	       mono_reached(query->deadline, clock_of_loop(resolver->loop))) {
		query_move(query, &resolver->finished);
	}
	resolver_deliver(resolver);
}

/* Frees the earlier lookups that have ended (@must_reap_all: the others as well). */
static void reap_retired(struct resolver *resolver, bool must_reap_all)
{
	struct retired *retired = SLIST_FIRST(&resolver->retired);
	struct retired *next;

	for (; retired; retired = next) {
		next = SLIST_NEXT(retired, in_resolver);
		if (must_reap_all || lookups_are_idle(retired->lookups)) {
			SLIST_REMOVE(&resolver->retired, retired, retired, in_resolver);
			lookups_free(retired->lookups);
			free(retired);
		}
	}
}

static void on_worked(void *userdata)
{
	resolver_deliver(userdata);
}

/* Asking. */

static int query_new(struct resolver *resolver, const struct resolver_question *question,
		     enum dns_kind kind, void *userdata, struct resolver_query **ret_query)
{
	struct resolver_query *query = calloc(1, sizeof(*query));

	if (!query) {
		return -ENOMEM;
	}
	query->resolver = resolver;
	query->crowd = question->crowd;
	query->port = question->port;
	query->kind = kind;
	query->userdata = userdata;
	query->n_waits = kind == DNS_KIND_SRV ? 2 : 1;
	for (size_t i = 0; i < query->n_waits; i++) {
		query->waits[i].wait.over = on_over;
		query->waits[i].query = query;
	}
	LIST_INSERT_HEAD(&resolver->queries, query, in_resolver);
	*ret_query = query;
	return 0;
}

/* Starts wait @i of @query: for @prefix and @host in lower case, so that equal questions have equal
 * names. */
static int query_ask(struct resolver_query *query, size_t i, const char *prefix, const char *host)
{
	char name[QUESTION_NAME_MAX + 1];
	size_t n_prefix = strlen(prefix);
	size_t n_host = strlen(host);

	assert(i < query->n_waits && n_prefix + SRV_HOST_MAX < sizeof(name));
	if (n_host > SRV_HOST_MAX) {
		return RESOLVER_E_NAME;
	}
	memcpy(name, prefix, n_prefix);
	for (size_t at = 0; at <= n_host; at++) {
		name[n_prefix + at] = ascii_lower(host[at]);
	}
	int r = lookups_ask(query->resolver->lookups, query->crowd, query->kind, name,
			    &query->waits[i].wait);

	switch (r) {
	case LOOKUPS_E_BUSY:
		return RESOLVER_E_BUSY;
	case LOOKUPS_E_CROWD:
		return RESOLVER_E_CROWD;
	default:
		return r;
	}
}

/* The last step of each resolver_ask_x(). */
static int query_begun(struct resolver_query *query, int r, struct resolver_query **ret_query)
{
	struct resolver *resolver = query->resolver;

	if (r != RESOLVER_ASKED) {
		resolver_query_cancel(query);
	} else {
		*ret_query = query;
	}
	resolver_arm(resolver, 0);
	return r;
}

int resolver_ask_srv(struct resolver *resolver, const struct resolver_question *question,
		     resolver_srv_done done, void *userdata, struct resolver_query **ret_query)
{
	struct resolver_query *query;
	int r = query_new(resolver, question, DNS_KIND_SRV, userdata, &query);

	if (r < 0) {
		return r;
	}
	query->done.srv = done;
	r = query_ask(query, 0, "_xmpp-client._tcp.", question->name);
	if (r == RESOLVER_ASKED) {
		r = query_ask(query, 1, "_xmpps-client._tcp.", question->name);
	}
	return query_begun(query, r, ret_query);
}

int resolver_ask_addresses(struct resolver *resolver, const struct resolver_question *question,
			   resolver_addresses_done done, void *userdata,
			   struct resolver_query **ret_query)
{
	struct resolver_query *query;
	int r = query_new(resolver, question, DNS_KIND_ADDRESSES, userdata, &query);

	if (r < 0) {
		return r;
	}
	query->done.addresses = done;
	return query_begun(query, query_ask(query, 0, "", question->name), ret_query);
}

int resolver_ask_tlsa(struct resolver *resolver, const struct resolver_question *question,
		      resolver_tlsa_done done, void *userdata, struct resolver_query **ret_query)
{
	char prefix[sizeof("_65535._tcp.")];
	struct resolver_query *query;
	int r = query_new(resolver, question, DNS_KIND_TLSA, userdata, &query);

	if (r < 0) {
		return r;
	}
	query->done.tlsa = done;
	(void)snprintf(prefix, sizeof(prefix), "_%u._tcp.", question->port);
	return query_begun(query, query_ask(query, 0, prefix, question->name), ret_query);
}

const char *resolver_ask_error(int r)
{
	switch (r) {
	case RESOLVER_E_NAME:
		return "the name is too long";
	case RESOLVER_E_BUSY:
		return "too many DNS questions under way";
	case RESOLVER_E_CROWD:
		return "too many DNS questions under way for this client";
	default:
		return strerrordesc_np(-r);
	}
}

void resolver_query_cancel(struct resolver_query *query)
{
	if (query) {
		query_detach(query);
		query_free(query);
	}
}

/* Construction. */

static int make_lookups(struct resolver *resolver, const struct resolver_options *options,
			struct lookups **ret_lookups)
{
	const struct ares_loop_options of_ares = {
		.servers = options->servers,
		.timeout_ms = options->timeout_ms,
		.n_tries = options->n_tries,
		.worked = on_worked,
		.userdata = resolver,
		.bill.turn = options->turn,
	};

	return lookups_new(resolver->loop, &of_ares, resolver->observer, ret_lookups);
}

int resolver_new(uv_loop_t *loop, const struct resolver_options *options,
		 struct resolver **ret_resolver)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver) {
		return -ENOMEM;
	}
	TAILQ_INIT(&resolver->finished);
	TAILQ_INIT(&resolver->in_grace);
	resolver->loop = loop;
	resolver->observer = options->observer;
	resolver->grace_ms = options->timeout_ms;
	int r = make_lookups(resolver, options, &resolver->lookups);

	if (r < 0) {
		free(resolver);
		return r;
	}
	uv_timer_init(loop, &resolver->delivery);
	timeout_init(&resolver->grace, loop);
	resolver->delivery.data = resolver;
	resolver->grace.uv.data = resolver;
	resolver->n_handles = 2;
	*ret_resolver = resolver;
	return 0;
}

int resolver_reload(struct resolver *resolver, const struct resolver_options *options)
{
	struct retired *retired = malloc(sizeof(*retired));
	struct lookups *lookups;
	int r = retired ? make_lookups(resolver, options, &lookups) : -ENOMEM;

	if (r < 0) {
		free(retired);
		return r;
	}
	retired->lookups = resolver->lookups;
	SLIST_INSERT_HEAD(&resolver->retired, retired, in_resolver);
	resolver->lookups = lookups;
	resolver->grace_ms = options->timeout_ms;
	reap_retired(resolver, false);
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct resolver *resolver = handle->data;

	if (--resolver->n_handles == 0) {
		free(resolver);
	}
}

struct resolver *resolver_free(struct resolver *resolver)
{
	struct resolver_query *query;

	if (!resolver || resolver->is_closing) {
		return NULL;
	}
	resolver->is_closing = true;
	while ((query = LIST_FIRST(&resolver->queries))) {
		resolver_query_cancel(query);
	}
	resolver->lookups = lookups_free(resolver->lookups);
	reap_retired(resolver, true);
	uv_close((uv_handle_t *)&resolver->delivery, on_timer_closed);
	uv_close((uv_handle_t *)&resolver->grace.uv, on_timer_closed);
	return NULL;
}
