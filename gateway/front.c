/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_HTTP
#include "gateway/front.h"

#include "gateway/client-of.h"
#include "gateway/connection-log.h"
#include "gateway/front-owner.h"
#include "gateway/http/coder.h"
#include "gateway/http/site.h"
#include "gateway/request-log.h"
#include "gateway/listener/socket-policy.h"

/* Requests, passed on to the owner. */

/* A proxy that names no client carries many. */
static bool on_is_bounded(void *userdata, const struct address *client)
{
	const struct front *front = userdata;

	return !networks_contain(&front->env->config->proxies, client) &&
	       !worker_is_exempt(front->env, client);
}

static void on_dropped(void *userdata, const struct address *client, bool is_for_all)
{
	const struct front *front = userdata;

	request_log_unread(front->env, client, is_for_all);
}

/* For the budget and the log: if there is no memory to tell, the proxy has to do. The endpoints
 * refuse the request then. */
static struct address on_client(void *userdata, const struct http_exchange *exchange)
{
	const struct front *front = userdata;
	struct forwarded_client client;

	(void)!client_of(front->env, exchange, &client);
	return client.address;
}

static bool on_prepare(void *userdata, struct http_exchange *exchange, size_t n_portion)
{
	struct front *front = userdata;

	return front->callbacks.prepare(front->userdata, exchange, n_portion);
}

static void on_request(void *userdata, struct http_exchange *exchange)
{
	struct front *front = userdata;

	if (!front->callbacks.request(front->userdata, exchange)) {
		request_log_refused(front->env, exchange, on_client(front, exchange), "");
	}
}

static void on_gone(void *userdata, struct http_exchange *exchange)
{
	struct front *front = userdata;

	front->callbacks.gone(front->userdata, exchange);
}

static void on_done(void *userdata, struct http_exchange *exchange)
{
	struct front *front = userdata;

	front->callbacks.done(front->userdata, exchange);
}

/* Bytes that are held for clients before their login (policy/budget.h). */
static void on_cut(void *userdata, struct http_exchange *exchange)
{
	struct front *front = userdata;

	request_log_dropped(front->env, on_client(front, exchange));
	site_answer_text(front->env->site, exchange, 503,
			 "This request took too long while others needed the memory. Try again.\n");
}

/* Connections. */

void front_accept(struct front *front, struct wire *wire, bool is_proxied)
{
	arrivals_take(front->arrivals, wire, is_proxied);
}

static void on_arrived(void *userdata, struct wire *wire)
{
	front_adopt(userdata, wire, true);
}

void front_take(struct front *front, struct wire *wire)
{
	front_adopt(front, wire, false);
}

/* What the reader tells. */

static void answer_policy(struct front *front, struct wire *wire)
{
	const struct address peer = *wire_peer(wire);
	/* Where there will be a pump, the seat stays with the connection that is pumped. */
	bool has_seat = wire_fd(wire) >= 0 && !wire_is_silent(wire);
	int fd = wire_into_fd(wire);

	if (fd < 0) {
		connection_log_lost(front->env, &peer, fd);
		wire_close(wire);
		return;
	}
	socket_policy_adopt(front->env->socket_policy, fd, &peer, SITE_PLUGIN_FLASH, has_seat);
}

static void on_alien(void *userdata, struct wire *wire, enum http_alien alien)
{
	struct front *front = userdata;
	const struct address *peer = wire_peer(wire);
	char text[ADDRESS_TEXT_MAX];

	if (alien == HTTP_ALIEN_POLICY) {
		answer_policy(front, wire);
		return;
	}
	if (worker_may_log(front->env, CLIENT_LOG_REQUEST_REFUSED, peer)) {
		log_info("not-http", LOG_STR("client", address_format_host(peer, text)),
			 LOG_STR("reason", http_alien_name(alien)));
	}
	wire_close(wire);
}

static void on_malformed(void *userdata, struct http_exchange *exchange, enum http_fault fault)
{
	struct front *front = userdata;

	site_answer_text(front->env->site, exchange, http_fault_status(fault),
			 http_fault_sentence(fault));
	request_log_refused(front->env, exchange, on_client(front, exchange),
			    http_fault_name(fault));
}

static const struct http_reader_callbacks reader_callbacks = {
	.first = front_owner_first,
	.asks_always = front_owner_asks_always,
	.alien = on_alien,
	.malformed = on_malformed,
};

/* The beginning and the end. */

static void on_closed(void *userdata, const struct address *peer)
{
	struct front *front = userdata;

	worker_leave_connection(front->env, peer);
}

static void on_flooded(void *userdata, const struct address *peer)
{
	const struct front *front = userdata;

	connection_log_failed(front->env, peer, "tls-flood", "too many TLS messages without data");
}

static struct http_limits limits_of(const struct front *front)
{
	const struct config *config = front->env->config;

	return (struct http_limits){
		.n_body_max = config->n_body_max,
		.timeout_s = config->header_timeout_s,
		.coder = config->coding ? front->coder : NULL,
	};
}

/* A coder that exists stays, also when codings are switched off. */
static int coder_if_needed(struct front *front)
{
	return front->env->config->coding && !front->coder ? coder_new(&front->coder) : 0;
}

static int reader_new(struct front *front)
{
	struct worker_env *env = front->env;
	const struct http_options options = {
		.loop = env->loop,
		.hub = env->hub,
		.date = env->date,
		.limits = limits_of(front),
		.budget = env->budget,
		.owner = env->index,
		.client = on_client,
		.cut = on_cut,
		.prepare = on_prepare,
		.request = on_request,
		.gone = on_gone,
		.done = on_done,
		.passes = front_owner_passes,
		.closed = on_closed,
		.userdata = front,
	};
	int r = arrivals_new(env, on_arrived, front, &front->arrivals);

	return r < 0 ? r : http_reader_new(&options, &reader_callbacks, &front->reader);
}

int front_init(struct front *front, struct worker_env *env, const struct front_callbacks *callbacks,
	       void *userdata)
{
	const struct wire_hub_options hub = {.loop = env->loop,
					     .closed = on_closed,
					     .flooded = on_flooded,
					     .unread = env->foreign_budget,
					     .owner = env->index,
					     .dropped = on_dropped,
					     .is_bounded = on_is_bounded,
					     .userdata = front,
					     .turn = env->turn,
					     .helper = env->link.dialer.helper};

	*front = (struct front){.env = env, .callbacks = *callbacks, .userdata = userdata};
	int r = wire_hub_new(&hub, &env->hub);

	if (r == 0) {
		r = coder_if_needed(front);
	}
	return r < 0 ? r : reader_new(front);
}

int front_reload(struct front *front)
{
	int r = coder_if_needed(front);
	const struct http_limits limits = limits_of(front);

	http_reader_reload(front->reader, &limits);
	return r;
}

void front_connect(struct front *front, struct mailbox *const *mailboxes)
{
	front->mailboxes = mailboxes;
}

bool front_is_busy(const struct front *front)
{
	return (front->arrivals && arrivals_are_shaking(front->arrivals)) ||
	       (front->reader && http_reader_is_busy(front->reader));
}

void front_close(struct front *front)
{
	front->reader = http_reader_free(front->reader);
	wire_hub_close(front->env ? front->env->hub : NULL);
	front->arrivals = arrivals_free(front->arrivals);
}

void front_deinit(struct front *front)
{
	if (front->env) {
		front->env->hub = wire_hub_free(front->env->hub);
	}
	front->coder = coder_free(front->coder);
}
