/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/macro.h"

/* c-ares calls back when it likes, also from the very call that asks. So an answer is only noted in
 * its query there, and told from one place, resolver_tell(), where nothing of c-ares is on the
 * stack. */
struct resolver {
	uv_timer_t timer; /* what c-ares waits for, or now when an answer has not been told */
	ares_channel channel;
	LIST_HEAD(, resolver_socket) sockets; /* resolver_socket::in_resolver */
	TAILQ_HEAD(, resolver_query) answered; /* resolver_query::in_answered: to be told */
	unsigned n_handles; /* not closed yet */
	size_t n_queries;   /* not freed yet */
	bool closing;
};

/* A socket of c-ares' and what it wants to know about it. */
struct resolver_socket {
	uv_poll_t poll;
	LIST_ENTRY(resolver_socket) in_resolver;
	struct resolver *resolver;
	ares_socket_t fd;
	int events;
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

static void on_timer(uv_timer_t *timer);

static struct resolver_query *query_free(struct resolver_query *query)
{
	query->resolver->n_queries--;
	free(query->srv_set);
	free(query->addresses);
	free(query);
	return NULL;
}

/* Arms the timer for the earliest of what c-ares waits for. */
static void resolver_arm(struct resolver *resolver)
{
	struct timeval left;

	if (resolver->closing) {
		return;
	}
	if (!TAILQ_EMPTY(&resolver->answered)) {
		uv_timer_start(&resolver->timer, on_timer, 0, 0);
	} else if (ares_timeout(resolver->channel, NULL, &left)) {
		uint64_t ms = (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000;

		/* One more, so that c-ares finds the time to have come. */
		uv_timer_start(&resolver->timer, on_timer, ms + 1, 0);
	} else {
		uv_timer_stop(&resolver->timer);
	}
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

static void resolver_process(struct resolver *resolver, ares_socket_t readable,
			     ares_socket_t writable)
{
	ares_process_fd(resolver->channel, readable, writable);
	resolver_tell(resolver);
	resolver_arm(resolver);
}

static void on_timer(uv_timer_t *timer)
{
	resolver_process(timer->data, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct resolver_socket *socket = poll->data;
	struct resolver *resolver = socket->resolver;

	if (status < 0) {
		/* libuv has stopped the handle; c-ares learns the error from the socket. */
		events = UV_READABLE | UV_WRITABLE;
		(void)uv_poll_start(poll, socket->events, on_poll);
	}
	resolver_process(resolver, events & UV_READABLE ? socket->fd : ARES_SOCKET_BAD,
			 events & UV_WRITABLE ? socket->fd : ARES_SOCKET_BAD);
}

static void resolver_closed(struct resolver *resolver)
{
	if (--resolver->n_handles == 0) {
		free(resolver);
	}
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct resolver_socket *socket = handle->data;

	resolver_closed(socket->resolver);
	free(socket);
}

static void on_timer_closed(uv_handle_t *handle)
{
	resolver_closed(handle->data);
}

static struct resolver_socket *socket_find(struct resolver *resolver, ares_socket_t fd)
{
	struct resolver_socket *socket;

	LIST_FOREACH (socket, &resolver->sockets, in_resolver) {
		if (socket->fd == fd) {
			break;
		}
	}
	return socket;
}

/* NULL when there is no memory: the query then fails by its time-out. */
static struct resolver_socket *socket_new(struct resolver *resolver, ares_socket_t fd)
{
	struct resolver_socket *socket = calloc(1, sizeof(*socket));

	if (!socket || uv_poll_init(resolver->timer.loop, &socket->poll, fd) < 0) {
		free(socket);
		return NULL;
	}
	socket->poll.data = socket;
	socket->resolver = resolver;
	socket->fd = fd;
	resolver->n_handles++;
	LIST_INSERT_HEAD(&resolver->sockets, socket, in_resolver);
	return socket;
}

static void on_socket_state(void *userdata, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = userdata;
	struct resolver_socket *socket = socket_find(resolver, fd);
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

	if (events == 0) {
		/* c-ares closes the socket right after this. */
		if (socket) {
			LIST_REMOVE(socket, in_resolver);
			uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
		}
		return;
	}
	if (!socket) {
		socket = socket_new(resolver, fd);
	}
	if (socket) {
		socket->events = events;
		(void)uv_poll_start(&socket->poll, events, on_poll);
	}
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

static void library_init(void)
{
	/* Does nothing on Unix that could fail, but must not run in two threads at once. */
	(void)ares_library_init(ARES_LIB_INIT_ALL);
}

static int channel_new(struct resolver *resolver, const char *servers)
{
	/* No search domains: what a client names is a whole name, never one of the operator's. */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = RESOLVER_TIMEOUT_MS,
		.tries = RESOLVER_TRIES,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = resolver,
	};
	int status = ares_init_options(&resolver->channel, &options,
				       ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					       ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS) {
		return -ENOMEM;
	}
	if (servers) {
		status = ares_set_servers_ports_csv(resolver->channel, servers);
	}
	if (status != ARES_SUCCESS) {
		ares_destroy(resolver->channel);
		return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	}
	return 0;
}

int resolver_new(uv_loop_t *loop, const char *servers, struct resolver **ret_resolver)
{
	static uv_once_t once = UV_ONCE_INIT;
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver) {
		return -ENOMEM;
	}
	uv_once(&once, library_init);
	LIST_INIT(&resolver->sockets);
	TAILQ_INIT(&resolver->answered);
	int r = channel_new(resolver, servers);

	if (r < 0) {
		free(resolver);
		return r;
	}
	uv_timer_init(loop, &resolver->timer);
	resolver->timer.data = resolver;
	resolver->n_handles = 1;
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
	/* Answers every query that is under way, which puts it into the list, and closes the sockets. */
	ares_destroy(resolver->channel);
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
	ares_query(resolver->channel, name, ns_c_in, ns_t_srv, on_srv, query);
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
	ares_getaddrinfo(resolver->channel, host, NULL, &hints, on_addresses, query);
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
