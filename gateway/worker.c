/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_HTTP
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/hash.h"
#include "gateway/connection-log.h"
#include "gateway/descriptors.h"
#include "gateway/http/site.h"
#include "gateway/listener/socket-policy.h"
#include "gateway/outbound.h"
#include "gateway/worker-state.h"
#include "gateway/worker-update.h"

enum {
	/* Turns of the loop in which a worker that was never started closes its handles. */
	CLOSE_TURNS_MAX = 100,
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
	const char *limit = worker_enter_passed(&worker->env, wire_peer(wire));

	if (limit) {
		connection_log_refused(&worker->env, wire_peer(wire), limit);
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

static bool on_prepare(void *userdata, struct http_exchange *exchange, size_t n_portion)
{
	struct worker *worker = userdata;

	return site_route(worker->env.site, exchange) != SITE_ROUTE_BOSH ||
	       bosh_relay_prepare(bosh_endpoint_relay(worker->bosh), exchange, n_portion);
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
	.prepare = on_prepare,
	.request = on_request,
	.gone = on_gone,
	.done = on_done,
	.handed_over = on_handed_over,
};

/* Bytes that are held for clients (policy/budget.h). */

static void on_evict(uv_async_t *evict)
{
	struct worker *worker = CONTAINER_OF(evict, struct worker, evict);

	budget_evict(worker->env.budget, worker->env.index);
	budget_evict(worker->env.foreign_budget, worker->env.index);
}

static void wake_to_evict(void *userdata)
{
	uv_async_send(&((struct worker *)userdata)->evict);
}

/* Threads. */

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

	trace_init(&worker->trace, env->metrics, shared->known_keys);
	r = outbound_init(&env->link, env->loop, env->config, env->turn, &worker->trace.lookup);
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

/* At the first poll of a loop, libuv adds its own descriptors to the epoll. If the kernel refuses
 * one, libuv aborts the process. So the worker polls once before the server says that it is
 * ready. If a server aborted after that, the supervisor would end the gateway, with the sessions
 * that older servers still have after an upgrade. */
static void poll_once(struct worker *worker)
{
	uv_run(&worker->loop, UV_RUN_NOWAIT);
}

static int init_handles(struct worker *worker)
{
	int r = uv_async_init(&worker->loop, &worker->order, worker_on_order);

	if (r == 0) {
		r = uv_async_init(&worker->loop, &worker->evict, on_evict);
	}
	if (r == 0) {
		poll_once(worker);
		/* Ahead of outbound_init(), which makes the gather: so that one writes to the
		 * servers first, and then this one wakes other workers (common/mailbox.h). */
		r = mailbox_init(&worker->mailbox, &worker->loop, worker);
	}
	if (r == 0) {
		uv_timer_init(&worker->loop, &worker->grace);
		timeout_init(&worker->grace_end, &worker->loop);
		timeout_init(&worker->retry, &worker->loop);
	}
	return r;
}

static void close_handle(uv_handle_t *handle, void *userdata)
{
	(void)userdata;
	if (!uv_is_closing(handle)) {
		uv_close(handle, NULL);
	}
}

/* The loop and the handles that need nothing else. */
static int init_loop(struct worker *worker)
{
	int r = uv_loop_init(&worker->loop);

	if (r < 0) {
		return r;
	}
	r = init_handles(worker);
	if (r < 0) {
		uv_walk(&worker->loop, close_handle, NULL);
		uv_run(&worker->loop, UV_RUN_NOWAIT);
		uv_loop_close(&worker->loop);
	}
	return r;
}

int worker_new(const struct worker_shared *shared, unsigned index, struct worker **ret_worker)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	struct hash_secret secret;
	int r = worker ? hash_secret_init(&secret) : -ENOMEM;

	if (r == 0) {
		r = init_loop(worker);
	}
	if (r < 0) {
		free(worker);
		return r;
	}
	turn_init(&worker->turn, &worker->loop);
	worker->turn.secret = secret;
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
		.foreign_budget = shared->foreign_budget,
		.metrics = &shared->metrics->cells[index],
		.client_log = shared->client_log,
		.mailbox = &worker->mailbox,
		.turn = &worker->turn,
		.date = &worker->date,
	};
	shared->envs[index] = &worker->env;
	pulse_init(&worker->pulse, &worker->loop, worker->env.metrics);
	budget_set_wake(shared->budget, index, wake_to_evict, worker);
	budget_set_wake(shared->foreign_budget, index, wake_to_evict, worker);
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
		worker_close_rest(worker);
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
