/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_HTTP
#include <errno.h>
#include <stdlib.h>

#include "gateway/listener/socket-policy.h"
#include "gateway/outbound.h"
#include "gateway/worker-state.h"
#include "gateway/worker-update.h"

enum {
	/* How long a stopping worker waits for its clients to receive their last answer. */
	STOP_GRACE_MS = 1000,
	/* How often it checks whether they have, and whether the last WebSocket is closed. */
	STOP_POLL_MS = 10,
	/* How soon a part that could not be reloaded is tried again. */
	RELOAD_RETRY_MS = 1000,
};

/* Stopping: the sessions end, their clients get a moment to receive the last answer, then all
 * handles are closed and the loop ends. */

void worker_close_rest(struct worker *worker)
{
	front_close(&worker->front);
	mailbox_close(&worker->mailbox);
	bosh_endpoint_stop(worker->bosh);
	socket_policy_close(worker->env.socket_policy);
	outbound_close(&worker->env.link);
	budget_set_wake(worker->env.budget, worker->env.index, NULL, NULL);
	budget_set_wake(worker->env.foreign_budget, worker->env.index, NULL, NULL);
	uv_close((uv_handle_t *)&worker->order, NULL);
	uv_close((uv_handle_t *)&worker->evict, NULL);
	uv_close((uv_handle_t *)&worker->grace, NULL);
	uv_close((uv_handle_t *)&worker->grace_end.uv, NULL);
	uv_close((uv_handle_t *)&worker->retry.uv, NULL);
	turn_close(&worker->turn);
	pulse_close(&worker->pulse);
}

/* Whether a client still waits for an answer or the rest of one, may have sent a request that was
 * not read yet, or has not answered the close frame of its WebSocket. */
static bool is_awaited(const struct worker *worker)
{
	return front_is_busy(&worker->front) || ws_endpoint_is_busy(worker->ws) ||
	       turn_is_busy(&worker->turn) || wire_hub_has_events(worker->env.hub) ||
	       wire_hub_has_last_bytes(worker->env.hub);
}

/* The hub is closed after the last WebSocket (ws_endpoint_is_busy()). */
static void on_grace(uv_timer_t *grace)
{
	struct worker *worker = CONTAINER_OF(grace, struct worker, grace);

	if (is_awaited(worker) && timeout_is_set(&worker->grace_end)) {
		return;
	}
	ws_endpoint_stop(worker->ws);
	/* The links end by themselves (xmpp/returning.h). */
	if (!ws_endpoint_is_busy(worker->ws) && worker->env.link.n_returning == 0) {
		worker_close_rest(worker);
	}
}

static void on_grace_end(struct timeout *grace_end)
{
	on_grace(&CONTAINER_OF(grace_end, struct worker, grace_end)->grace);
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
	timeout_start(&worker->grace_end, on_grace_end, STOP_GRACE_MS);
	uv_timer_start(&worker->grace, on_grace, STOP_POLL_MS, STOP_POLL_MS);
}

/* Reloading. */

static void on_retry(struct timeout *retry)
{
	worker_on_order(&CONTAINER_OF(retry, struct worker, retry)->order);
}

/* Puts @update, of which a part failed, back for a moment; a newer one replaces it. */
static void retry(struct worker *worker, struct worker_update *update)
{
	struct worker_update *none = NULL;

	update->is_retried = true;
	if (atomic_compare_exchange_strong(&worker->update, &none, update)) {
		timeout_plan(&worker->retry, on_retry, RELOAD_RETRY_MS);
	} else {
		worker_update_free(update);
	}
}

/* Returns the first failure of the parts. Each part may run again with the same configuration. */
static int reload_parts(struct worker *worker, const struct worker_update *update)
{
	int first = outbound_reload(&worker->env.link, worker->env.config);

	ws_endpoint_reload(worker->ws);
	int r = bosh_endpoint_reload(worker->bosh);

	first = first < 0 ? first : r;
	r = front_reload(&worker->front);
	first = first < 0 ? first : r;
	r = worker->listener ? listener_reload(worker->listener, update) : 0;
	return first < 0 ? first : r;
}

/* A part that cannot use the new configuration, for want of memory or descriptors, goes on with the
 * earlier one until the next try. The listener has to come to it in the end: clients that connect
 * to a new socket wait until a worker accepts them. */
static void reload(struct worker *worker, struct worker_update *update)
{
	struct worker_env *env = &worker->env;
	struct snapshot *before = worker->snapshot;

	worker->snapshot = snapshot_ref(update->snapshot);
	env->config = worker->snapshot->config;
	env->site = worker->snapshot->site;
	int r = reload_parts(worker, update);

	snapshot_unref(before);
	if (r == 0) {
		if (update->is_retried) {
			log_info("reload-completed", LOG_NUMBER("worker", env->index));
		}
		worker_update_free(update);
		return;
	}
	if (!worker->listener) {
		/* It drains, and goes on with what it has: kept open, the sockets of the update
		 * would let clients connect whom nobody accepts. */
		worker_update_free(update);
		return;
	}
	if (!update->is_retried) {
		log_error("reload-incomplete", LOG_NUMBER("worker", env->index),
			  LOG_STR("error", strerror(-r)),
			  LOG_STR("hint", "the rest is tried again each second"));
	}
	retry(worker, update);
}

/* First come the orders after which the worker accepts nobody: an update that waits for another try
 * has to let go of its sockets then. */
void worker_on_order(uv_async_t *order)
{
	struct worker *worker = CONTAINER_OF(order, struct worker, order);

	if (worker->has_to_drain) {
		close_listener(worker);
		front_give_idle(&worker->front);
	}
	if (worker->has_to_stop) {
		stop(worker);
	}
	struct worker_update *update = atomic_exchange(&worker->update, NULL);

	if (update) {
		reload(worker, update);
	}
	if (atomic_exchange(&worker->has_to_trim, false)) {
		xml_pool_trim(worker->env.pool);
	}
}

int workers_reload(struct worker *const *workers, unsigned n_workers, struct snapshot *snapshot,
		   const struct listening *listening)
{
	struct worker_update **updates = calloc(n_workers, sizeof(struct worker_update *));
	int r = updates ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < n_workers; i++) {
		r = worker_update_new(snapshot, listening, i, n_workers, &updates[i]);
	}
	for (unsigned i = 0; updates && i < n_workers; i++) {
		if (r < 0) {
			worker_update_free(updates[i]);
			continue;
		}
		worker_update_free(atomic_exchange(&workers[i]->update, updates[i]));
		uv_async_send(&workers[i]->order);
	}
	free(updates);
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
