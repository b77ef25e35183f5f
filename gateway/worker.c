/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_HTTP
#include "gateway/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/random.h"
#include "common/turn.h"
#include "gateway/bosh/endpoint.h"
#include "gateway/descriptors.h"
#include "gateway/front.h"
#include "gateway/http/date.h"
#include "gateway/http/site.h"
#include "gateway/listener/listener.h"
#include "gateway/ops/pulse.h"
#include "gateway/ops/trace.h"
#include "gateway/outbound.h"
#include "gateway/listener/socket-policy.h"
#include "gateway/worker-update.h"
#include "gateway/ws/endpoint.h"

enum {
	/* How long a stopping worker waits for its clients to receive their last answer. */
	STOP_GRACE_MS = 1000,
	/* How often it checks whether they have, and whether the last WebSocket is closed. */
	STOP_POLL_MS = 10,
	/* Turns of the loop in which a worker that was never started closes its handles. */
	CLOSE_TURNS_MAX = 100,
};

struct worker {
	struct worker_env env;
	uv_loop_t loop;
	uv_thread_t thread;
	uv_sem_t released; /* of worker_release() */
	struct mailbox mailbox;
	struct mailbox **mailboxes; /* of all workers, by index */
	struct listener *listener;
	struct front front;
	struct bosh_endpoint *bosh;
	struct ws_endpoint *ws;
	uv_async_t order; /* not a message: it must arrive when the mailbox is full */
	uv_async_t evict; /* likewise */
	/* The orders, set by the main thread. */
	atomic_bool has_to_trim, has_to_drain, has_to_stop;
	_Atomic(struct worker_update *) update; /* the newest; the worker takes it out */
	struct snapshot *snapshot;
	uv_poll_t reserve; /* of descriptors_reserve() */
	uv_timer_t grace;
	struct turn turn;
	struct http_date date;
	struct pulse pulse;
	struct trace trace;
	struct mono grace_end;
	bool is_started;
};

/* Connections. */

static void on_connection(void *userdata, struct wire *wire, bool is_proxied)
{
	front_accept(&((struct worker *)userdata)->front, wire, is_proxied);
}

static void on_handed_over(void *reader, struct wire *wire)
{
	front_take(&((struct worker *)reader)->front, wire);
}

static void on_passed(void *reader, struct wire *wire)
{
	struct worker *worker = reader;

	if (worker_enter_passed(&worker->env, wire_peer(wire)) < 0) {
		wire_close(wire);
	} else {
		front_take(&worker->front, wire);
	}
}

void worker_take(struct worker *worker, int fd, const struct wire_peer *peer)
{
	handover_give(&worker->mailbox, fd, peer, on_passed);
}

static const struct listener_callbacks listener_callbacks = {
	.connection = on_connection,
};

/* Requests. */

/* Returns true if @exchange was handed to the BOSH sessions, which write their own log lines. */
static bool on_request(void *userdata, struct http_exchange *exchange)
{
	struct worker *worker = userdata;
	const struct site *site = worker->env.site;

	switch (site_route(site, exchange)) {
	case SITE_ROUTE_BOSH:
		metrics_add(worker->env.metrics, METRIC_REQUESTS_BOSH, 1);
		if (site_allows(site, http_exchange_header(exchange, "Origin"),
				http_exchange_header(exchange, "Host"))) {
			bosh_relay_request(bosh_endpoint_relay(worker->bosh), exchange);
			return true;
		}
		site_refuse_origin(site, exchange);
		break;
	case SITE_ROUTE_WEBSOCKET:
		metrics_add(worker->env.metrics, METRIC_REQUESTS_WEBSOCKET, 1);
		if (worker_is_draining(&worker->env)) {
			site_answer_text(site, exchange, 503,
					 "The gateway is being shut down. Try again.\n");
		} else {
			ws_endpoint_upgrade(worker->ws, exchange);
		}
		break;
	case SITE_ROUTE_OTHER:
		metrics_add(worker->env.metrics, METRIC_REQUESTS_OTHER, 1);
		site_answer(site, exchange);
		break;
	}
	return false;
}

static void on_gone(void *userdata, struct http_exchange *exchange)
{
	struct worker *worker = userdata;

	bosh_relay_gone(bosh_endpoint_relay(worker->bosh), exchange);
}

static void on_done(void *userdata, struct http_exchange *exchange)
{
	struct worker *worker = userdata;

	bosh_relay_done(bosh_endpoint_relay(worker->bosh), exchange);
}

static const struct front_callbacks front_callbacks = {
	.request = on_request,
	.gone = on_gone,
	.done = on_done,
	.handed_over = on_handed_over,
};

/* Bytes that are held for clients before their login (policy/budget.h). */

static void on_evict(uv_async_t *evict)
{
	struct worker *worker = CONTAINER_OF(evict, struct worker, evict);

	budget_evict(worker->env.budget, worker->env.index);
}

static void wake_to_evict(void *userdata)
{
	uv_async_send(&((struct worker *)userdata)->evict);
}

/* Stopping: the sessions end, their clients get a moment to receive the last answer, then all
 * handles are closed and the loop ends. */

/* Parts that were never created are NULL. */
static void close_rest(struct worker *worker)
{
	front_close(&worker->front);
	mailbox_close(&worker->mailbox);
	bosh_endpoint_stop(worker->bosh);
	socket_policy_close(worker->env.socket_policy);
	outbound_close(&worker->env.link);
	budget_set_wake(worker->env.budget, worker->env.index, NULL, NULL);
	uv_close((uv_handle_t *)&worker->order, NULL);
	uv_close((uv_handle_t *)&worker->evict, NULL);
	uv_close((uv_handle_t *)&worker->grace, NULL);
	turn_close(&worker->turn);
	pulse_close(&worker->pulse);
}

/* Whether a client still waits for an answer, may have sent a request that was not read yet, or has
 * not answered the close frame of its WebSocket. */
static bool is_awaited(const struct worker *worker)
{
	return front_is_busy(&worker->front) || ws_endpoint_is_busy(worker->ws) ||
	       turn_is_busy(&worker->turn) || wire_hub_has_events(worker->env.hub);
}

/* The HTTP server must outlive each WebSocket that was upgraded from one of its connections. */
static void on_grace(uv_timer_t *grace)
{
	struct worker *worker = CONTAINER_OF(grace, struct worker, grace);

	if (is_awaited(worker) && !mono_reached(worker->grace_end, worker_now(&worker->env))) {
		return;
	}
	ws_endpoint_stop(worker->ws);
	/* The links end by themselves (xmpp/returning.h). */
	if (!ws_endpoint_is_busy(worker->ws) && worker->env.link.n_returning == 0) {
		close_rest(worker);
	}
}

static void close_listener(struct worker *worker)
{
	if (worker->listener) {
		listener_finish(worker->listener);
		worker->listener = listener_free(worker->listener);
	}
}

static void stop(struct worker *worker)
{
	if (worker->env.is_stopping) {
		return;
	}
	close_listener(worker);
	worker->env.is_stopping = true;
	front_give_idle(&worker->front);
	bosh_endpoint_shut(worker->bosh);
	ws_endpoint_shut(worker->ws);
	worker->grace_end = mono_add_ms(worker_now(&worker->env), STOP_GRACE_MS);
	uv_timer_start(&worker->grace, on_grace, STOP_POLL_MS, STOP_POLL_MS);
}

/* Reloading. */

/* Each part goes on with the earlier configuration where the new one cannot be used, for want of
 * memory or descriptors. */
static void reload(struct worker *worker, struct worker_update *update)
{
	struct worker_env *env = &worker->env;
	struct snapshot *before = worker->snapshot;

	worker->snapshot = snapshot_ref(update->snapshot);
	env->config = worker->snapshot->config;
	env->site = worker->snapshot->site;
	int r = outbound_reload(&env->link, env->config);

	ws_endpoint_reload(worker->ws);
	if (r == 0) {
		r = bosh_endpoint_reload(worker->bosh);
	}
	if (r == 0) {
		r = front_reload(&worker->front);
	}
	if (r == 0 && worker->listener) {
		r = listener_reload(worker->listener, update);
	}
	if (r < 0) {
		log_error("reload-incomplete", LOG_NUMBER("worker", env->index),
			  LOG_STR("error", strerror(-r)));
	}
	snapshot_unref(before);
	worker_update_free(update);
}

static void on_order(uv_async_t *order)
{
	struct worker *worker = CONTAINER_OF(order, struct worker, order);
	struct worker_update *update = atomic_exchange(&worker->update, NULL);

	if (update) {
		reload(worker, update);
	}
	if (atomic_exchange(&worker->has_to_trim, false)) {
		xml_pool_trim(worker->env.pool);
	}
	if (worker->has_to_drain) {
		close_listener(worker);
		front_give_idle(&worker->front);
	}
	if (worker->has_to_stop) {
		stop(worker);
	}
}

int worker_reload(struct worker *worker, struct snapshot *snapshot,
		  const struct listening *listening)
{
	struct worker_update *update;
	int r = worker_update_new(snapshot, listening, worker->env.index, worker->env.n_workers,
				  &update);

	if (r == 0) {
		worker_update_free(atomic_exchange(&worker->update, update));
		uv_async_send(&worker->order);
	}
	return r;
}

void worker_trim(struct worker *worker)
{
	worker->has_to_trim = true;
	uv_async_send(&worker->order);
}

void worker_drain(struct worker *worker)
{
	worker->has_to_drain = true;
	uv_async_send(&worker->order);
}

void worker_stop(struct worker *worker)
{
	worker->has_to_stop = true;
	uv_async_send(&worker->order);
}

static void run(void *argument)
{
	struct worker *worker = argument;

	uv_sem_wait(&worker->released);
	uv_run(&worker->loop, UV_RUN_DEFAULT);
}

int worker_start(struct worker *worker)
{
	int r = uv_sem_init(&worker->released, 0);

	if (r < 0) {
		return r;
	}
	r = uv_thread_create(&worker->thread, run, worker);
	worker->is_started = r == 0;
	if (r < 0) {
		uv_sem_destroy(&worker->released);
	}
	return r;
}

void worker_release(struct worker *worker)
{
	uv_sem_post(&worker->released);
}

void worker_join(struct worker *worker)
{
	uv_thread_join(&worker->thread);
	uv_sem_destroy(&worker->released);
}

/* Creation. */

static int listen_on(struct worker *worker, const struct worker_shared *shared)
{
	struct worker_update *update;
	int r = worker_update_new(shared->snapshot, shared->listening, worker->env.index,
				  shared->n_workers, &update);

	if (r == 0) {
		r = listener_new(&worker->env, &listener_callbacks, worker, update,
				 &worker->listener);
		worker_update_free(update);
	}
	return r;
}

static int parts_new(struct worker *worker, const struct worker_shared *shared)
{
	struct worker_env *env = &worker->env;
	int r = front_init(&worker->front, env, &front_callbacks, worker);

	if (r == 0) {
		r = bosh_endpoint_new(env, &worker->bosh);
	}
	if (r == 0) {
		r = ws_endpoint_new(env, &worker->ws);
	}
	if (r == 0) {
		r = socket_policy_new(env, &worker->env.socket_policy);
	}
	return r < 0 ? r : listen_on(worker, shared);
}

static int init(struct worker *worker, const struct worker_shared *shared)
{
	struct worker_env *env = &worker->env;
	int r;

	trace_init(&worker->trace, env->metrics);
	r = outbound_init(&env->link, env->loop, env->config, &worker->trace.lookup);
	env->link.dialer.turn = env->turn;
	trace_observe(&worker->trace, &env->link);
	env->pool = env->link.pool;
	if (r == 0) {
		r = parts_new(worker, shared);
	}
	if (r < 0) {
		return r;
	}
	worker->mailboxes = calloc(worker->env.n_workers, sizeof(struct mailbox *));
	return worker->mailboxes ? 0 : -ENOMEM;
}

int worker_new(const struct worker_shared *shared, unsigned index, struct worker **ret_worker)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	uint64_t secret;
	int r = worker ? random_bytes(&secret, sizeof(secret)) : -ENOMEM;

	if (r == 0) {
		r = uv_loop_init(&worker->loop);
	}
	if (r == 0) {
		r = uv_async_init(&worker->loop, &worker->order, on_order);
	}
	if (r == 0) {
		r = uv_async_init(&worker->loop, &worker->evict, on_evict);
	}
	if (r == 0) {
		r = mailbox_init(&worker->mailbox, &worker->loop, worker);
	}
	if (r < 0) {
		free(worker);
		return r;
	}
	uv_timer_init(&worker->loop, &worker->grace);
	turn_init(&worker->turn, &worker->loop, secret);
	worker->snapshot = snapshot_ref(shared->snapshot);
	worker->env = (struct worker_env){
		.index = index,
		.n_workers = shared->n_workers,
		.loop = &worker->loop,
		.config = shared->snapshot->config,
		.site = shared->snapshot->site,
		.process = shared->process,
		.doors = shared->doors,
		.census = shared->census,
		.throttle = shared->throttle,
		.budget = shared->budget,
		.metrics = &shared->metrics->cells[index],
		.client_log = shared->client_log,
		.mailbox = &worker->mailbox,
		.turn = &worker->turn,
		.date = &worker->date,
	};
	shared->envs[index] = &worker->env;
	pulse_init(&worker->pulse, &worker->loop, worker->env.metrics);
	budget_set_wake(shared->budget, index, wake_to_evict, worker);
	r = init(worker, shared);
	if (r == 0) {
		r = descriptors_reserve(&worker->loop, &worker->reserve, shared->n_descriptors);
	}
	if (r < 0) {
		log_error("worker-failed", LOG_NUMBER("worker", index),
			  LOG_STR("error", strerror(-r)));
		worker_free(worker);
		return r;
	}
	*ret_worker = worker;
	return 0;
}

void worker_connect(struct worker *const *workers, unsigned n_workers)
{
	for (unsigned i = 0; i < n_workers; i++) {
		front_connect(&workers[i]->front, workers[i]->mailboxes);
		for (unsigned j = 0; j < n_workers; j++) {
			workers[i]->mailboxes[j] = &workers[j]->mailbox;
			bosh_relay_introduce(bosh_endpoint_relay(workers[i]->bosh),
					     bosh_endpoint_relay(workers[j]->bosh));
		}
	}
}

struct worker *worker_free(struct worker *worker)
{
	if (!worker) {
		return NULL;
	}
	if (!worker->is_started) {
		worker->listener = listener_free(worker->listener);
		ws_endpoint_stop(worker->ws);
		close_rest(worker);
		/* Bounded, because a library that failed to start may have left a handle that never
		 * closes. */
		for (int i = 0; i < CLOSE_TURNS_MAX && uv_run(&worker->loop, UV_RUN_NOWAIT); i++) {
		}
	}
	bosh_endpoint_free(worker->bosh);
	ws_endpoint_free(worker->ws);
	socket_policy_free(worker->env.socket_policy);
	front_deinit(&worker->front);
	mailbox_deinit(&worker->mailbox);
	outbound_deinit(&worker->env.link);
	free(worker->mailboxes);
	worker_update_free(worker->update);
	snapshot_unref(worker->snapshot);
	uv_loop_close(&worker->loop);
	free(worker);
	return NULL;
}
