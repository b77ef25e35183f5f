/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/resolver.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/macro.h"
#include "gateway/upstream/ares-loop.h"

/* c-ares calls back when it likes, also from the very call that asks. So an answer is only noted in
 * its query there, and told from one place, resolver_tell(), where nothing of c-ares is on the
 * stack. */
struct resolver {
	uv_timer_t timer; /* now, when an answer has not been told */
	struct ares_loop *ares;
	TAILQ_HEAD(, resolver_query) answered; /* resolver_query::in_answered: to be told */
	size_t n_queries; /* not freed yet */
	bool closing;
};

/* c-ares cannot cancel one query: a cancelled one stays until c-ares has answered it, and then goes
 * in silence. */
struct resolver_query {
	struct resolver *resolver;
	TAILQ_ENTRY(resolver_query) in_answered;
	resolver_srv_done srv_done; /* one of the two */
	resolver_addresses_done addresses_done;
	void *userdata;
	enum resolver_result result;
	struct srv_set *srv_set;   /* with RESOLVER_OK of srv_done */
	struct address *addresses; /* likewise of addresses_done */
	size_t n_addresses;
	uint16_t port;
	bool answered; /* by c-ares: it is in resolver.answered */
	bool cancelled;
};

static struct resolver_query *query_free(struct resolver_query *query)
{
	query->resolver->n_queries--;
	free(query->srv_set);
	free(query->addresses);
	free(query);
	return NULL;
}

static void query_tell(struct resolver_query *query)
{
	if (query->srv_done) {
		struct srv_set *set = query->srv_set;

		query->srv_done(query->userdata, query->result, set ? set->targets : NULL,
				set ? set->n_targets : 0);
	} else {
		query->addresses_done(query->userdata, query->result, query->addresses,
				      query->n_addresses);
	}
}

/* Callbacks may ask anew, cancel others, and free the resolver (which empties the list). */
static void resolver_tell(struct resolver *resolver)
{
	struct resolver_query *query;

	while ((query = TAILQ_FIRST(&resolver->answered))) {
		TAILQ_REMOVE(&resolver->answered, query, in_answered);
		query_tell(query);
		query_free(query);
	}
}

static void on_worked(void *userdata)
{
	resolver_tell(userdata);
}

static void on_timer(uv_timer_t *timer)
{
	resolver_tell(timer->data);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* After c-ares was asked: it may have answered at once, out of its own. */
static void resolver_arm(struct resolver *resolver)
{
	if (!TAILQ_EMPTY(&resolver->answered)) {
		uv_timer_start(&resolver->timer, on_timer, 0, 0);
	}
	ares_loop_arm(resolver->ares);
}

static enum resolver_result result_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return RESOLVER_OK;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME: /* too long with its prefix: there can be no such name */
		return RESOLVER_NO_NAME;
	case ARES_ETIMEOUT:
		return RESOLVER_TIMEOUT;
	default:
		return RESOLVER_FAILED;
	}
}

/* Whether the answer is wanted; otherwise the query is gone. */
static bool query_wanted(struct resolver_query *query)
{
	if (query->cancelled) {
		query_free(query);
		return false;
	}
	return true;
}

static void query_answered(struct resolver_query *query, enum resolver_result result)
{
	query->result = result;
	query->answered = true;
	TAILQ_INSERT_TAIL(&query->resolver->answered, query, in_answered);
}

static enum resolver_result query_take_srv(struct resolver_query *query,
					   const struct ares_srv_reply *replies)
{
	struct srv_set *set = calloc(1, sizeof(*set));

	if (!set) {
		return RESOLVER_FAILED;
	}
	for (const struct ares_srv_reply *reply = replies; reply; reply = reply->next) {
		srv_set_add(set, reply->host, reply->priority, reply->weight, reply->port);
	}
	if (set->n_targets == 0) {
		free(set);
		return RESOLVER_FAILED;
	}
	query->srv_set = set;
	return RESOLVER_OK;
}

static void on_srv(void *userdata, int status, int n_timeouts, unsigned char *answer, int n_answer)
{
	struct resolver_query *query = userdata;
	struct ares_srv_reply *replies = NULL;
	enum resolver_result result;

	(void)n_timeouts;
	if (!query_wanted(query)) {
		return;
	}
	if (status == ARES_SUCCESS) {
		status = ares_parse_srv_reply(answer, n_answer, &replies);
	}
	result = result_of(status);
	if (result == RESOLVER_OK) {
		result = query_take_srv(query, replies);
	}
	if (replies) {
		ares_free_data(replies);
	}
	query_answered(query, result);
}

static enum resolver_result query_take_addresses(struct resolver_query *query,
						 const struct ares_addrinfo *info)
{
	struct address *addresses = calloc(RESOLVER_ADDRESSES_MAX, sizeof(*addresses));
	size_t n = 0;

	if (!addresses) {
		return RESOLVER_FAILED;
	}
	for (const struct ares_addrinfo_node *node = info->nodes;
	     node && n < RESOLVER_ADDRESSES_MAX; node = node->ai_next) {
		if (address_from_sockaddr(node->ai_addr, &addresses[n]) == 0) {
			address_set_port(&addresses[n], query->port);
			n++;
		}
	}
	query->addresses = addresses;
	query->n_addresses = n;
	return n ? RESOLVER_OK : RESOLVER_NO_NAME;
}

static void on_addresses(void *userdata, int status, int n_timeouts, struct ares_addrinfo *info)
{
	struct resolver_query *query = userdata;
	enum resolver_result result = result_of(status);

	(void)n_timeouts;
	if (query_wanted(query)) {
		if (result == RESOLVER_OK) {
			result = query_take_addresses(query, info);
		}
		query_answered(query, result);
	}
	if (info) {
		ares_freeaddrinfo(info);
	}
}

int resolver_new(uv_loop_t *loop, const char *servers, struct resolver **ret_resolver)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver) {
		return -ENOMEM;
	}
	const struct ares_loop_options options = {
		.servers = servers,
		.timeout_ms = RESOLVER_TIMEOUT_MS,
		.n_tries = RESOLVER_TRIES,
		.worked = on_worked,
		.userdata = resolver,
	};

	TAILQ_INIT(&resolver->answered);
	int r = ares_loop_new(loop, &options, &resolver->ares);

	if (r < 0) {
		free(resolver);
		return r;
	}
	uv_timer_init(loop, &resolver->timer);
	resolver->timer.data = resolver;
	*ret_resolver = resolver;
	return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
	struct resolver_query *query;

	if (!resolver || resolver->closing) {
		return NULL;
	}
	resolver->closing = true;
	/* Answers every query that is under way, which puts it into the list. */
	ares_loop_free(resolver->ares);
	while ((query = TAILQ_FIRST(&resolver->answered))) {
		TAILQ_REMOVE(&resolver->answered, query, in_answered);
		query_free(query);
	}
	uv_close((uv_handle_t *)&resolver->timer, on_timer_closed);
	return NULL;
}

static int query_new(struct resolver *resolver, void *userdata, struct resolver_query **ret_query)
{
	struct resolver_query *query;

	if (resolver->n_queries >= RESOLVER_QUERIES_MAX) {
		return -EBUSY;
	}
	query = calloc(1, sizeof(*query));
	if (!query) {
		return -ENOMEM;
	}
	query->resolver = resolver;
	query->userdata = userdata;
	resolver->n_queries++;
	*ret_query = query;
	return 0;
}

int resolver_ask_srv(struct resolver *resolver, const char *domain, resolver_srv_done done,
		     void *userdata, struct resolver_query **ret_query)
{
	static const char prefix[] = "_xmpp-client._tcp.";
	char name[sizeof(prefix) + SRV_HOST_MAX];
	struct resolver_query *query;
	int r = query_new(resolver, userdata, &query);

	if (r < 0) {
		return r;
	}
	query->srv_done = done;
	(void)snprintf(name, sizeof(name), "%s%s", prefix, domain);
	*ret_query = query;
	ares_query(ares_loop_channel(resolver->ares), name, ns_c_in, ns_t_srv, on_srv, query);
	resolver_arm(resolver);
	return 0;
}

int resolver_ask_addresses(struct resolver *resolver, const char *host, uint16_t port,
			   resolver_addresses_done done, void *userdata,
			   struct resolver_query **ret_query)
{
	static const struct ares_addrinfo_hints hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct resolver_query *query;
	int r = query_new(resolver, userdata, &query);

	if (r < 0) {
		return r;
	}
	query->addresses_done = done;
	query->port = port;
	*ret_query = query;
	ares_getaddrinfo(ares_loop_channel(resolver->ares), host, NULL, &hints, on_addresses, query);
	resolver_arm(resolver);
	return 0;
}

void resolver_query_cancel(struct resolver_query *query)
{
	if (!query) {
		return;
	}
	if (query->answered) {
		TAILQ_REMOVE(&query->resolver->answered, query, in_answered);
		query_free(query);
		return;
	}
	query->cancelled = true;
}
