/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "gateway/process/door.h"
#include "gateway/log-setup.h"
#include "gateway/ops/admin.h"
#include "gateway/process/binder.h"
#include "gateway/process/reload.h"
#include "gateway/process/server-state.h"

/* Sends a report that the supervisor waits for. Without it, it would not reload or upgrade any
 * more, and kill a server that starts. There is at most one at a time: it orders nothing that is
 * answered before it has got the answer. A supervisor that is gone is noticed where its orders are
 * read. */
static void report(struct server *server, const struct control_message *message)
{
	int r = control_send_patiently(server->launch.control, message, NULL, 0);

	server->owes_report = control_may_retry(r);
	server->owed_report = *message;
}

static void pay_report(struct server *server)
{
	if (server->owes_report) {
		server->owes_report = control_may_retry(
			control_send(server->launch.control, &server->owed_report, NULL, 0));
	}
}

void server_report_ready(struct server *server)
{
	const struct config *config = server->shared.snapshot->config;
	struct control_message message = {
		.kind = CONTROL_READY,
		.n = (uint32_t)config->log_format,
	};

	if (config->log_path && strlen(config->log_path) < sizeof(message.place.name)) {
		message.is_given = (uint32_t)config->log_place;
		snprintf(message.place.name, sizeof(message.place.name), "%s", config->log_path);
	}
	report(server, &message);
}

/* Reloading. */

/* The limit on sessions cannot be raised above what there are descriptors for. */
static struct census_limits limits_of(const struct server *server, const struct config *config)
{
	struct census_limits limits = config->limits;

	if (limits.sessions > server->n_sessions_max) {
		limits.sessions = server->n_sessions_max;
	}
	return limits;
}

/* Has everything use @snapshot. */
static int use(struct server *server, struct snapshot *snapshot, const struct listening *listening)
{
	const struct config *config = snapshot->config;
	const struct census_limits limits = limits_of(server, config);
	int r = workers_reload(server->workers, server->shared.n_workers, snapshot, listening);

	if (r < 0) {
		return r;
	}
	census_set_limits(server->shared.census, &limits);
	budget_set_limits(server->shared.budget, &config->budget);
	budget_set_limits(server->shared.foreign_budget, &config->foreign_budget);
	client_log_set_limits(server->shared.client_log, &limits);
	log_setup_levels(config);
	admin_set_config(server->admin, config);
	reload_warn_without_authorities(config);
	reload_log_restart(server->shared.snapshot->config, config);
	snapshot_unref(server->shared.snapshot);
	server->shared.snapshot = snapshot_ref(snapshot);
	return 0;
}

static int take_over(struct server *server, struct config *config)
{
	struct listening listening = {0};
	struct snapshot *snapshot;
	int r = snapshot_new(config, &snapshot);

	if (r < 0) {
		return r;
	}
	if (!server->is_draining) {
		r = binder_open(server->launch.binder, config, &listening);
	}
	if (r == 0) {
		r = use(server, snapshot, &listening);
		binder_commit(server->launch.binder, r == 0);
		listening_deinit(&listening);
	}
	snapshot_unref(snapshot);
	return r;
}

static void reload(struct server *server)
{
	struct config *config;
	int r = reload_read(server->path, &config);

	log_reopen();
	if (r == 0) {
		r = take_over(server, config);
	}
	reload_done(&server->state, r);
	report(server, &(struct control_message){.kind = CONTROL_RELOADED, .result = r});
}

/* Draining. */

void server_stop(struct server *server)
{
	server->is_stopping = true;
	for (unsigned i = 0; i < server->n_started; i++) {
		worker_stop(server->workers[i]);
	}
}

static void drain(struct server *server, unsigned seconds)
{
	struct mono until = mono_add_s(clock_now(), seconds);

	/* A retired server is told to drain when the gateway is stopped. */
	server->drained_until =
		server->is_draining ? mono_earlier(server->drained_until, until) : until;
	server->is_draining = true;
	server->state.is_draining = true;
	for (unsigned i = 0; i < server->n_started; i++) {
		worker_drain(server->workers[i]);
	}
}

static void obey(struct server *server, const struct control_message *message)
{
	unsigned seconds = server->shared.snapshot->config->drain_timeout_s;

	switch ((enum control_kind)message->kind) {
	case CONTROL_RELOAD:
		reload(server);
		break;
	case CONTROL_COUNT:
		metrics_log_failures(server->shared.metrics);
		break;
	case CONTROL_DRAIN:
		drain(server, seconds);
		break;
	case CONTROL_RETIRE:
		/* Its door came just before. */
		server->arrived_until = mono_add_s(clock_now(), SERVER_ARRIVALS_S);
		server->state.successor = (int)server->newest;
		log_info("retired", LOG_NUMBER("generation", server->launch.generation),
			 LOG_NUMBER("sessions", census_sessions(server->shared.census)));
		/* The newer server has its own admin listener. */
		admin_retire(server->admin);
		drain(server, seconds ? seconds : SERVER_RETIRED_S);
		break;
	case CONTROL_STOP:
		server_stop(server);
		break;
	case CONTROL_GONE:
		doors_remove(server->shared.doors, message->generation);
		break;
	default:
		break;
	}
}

bool server_read_order(struct server *server)
{
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t n_fds;
	int r = control_receive(server->launch.control, &message, fds, &n_fds);

	if (r == CONTROL_RECEIVED) {
		if (message.kind == CONTROL_DOOR && n_fds == 1) {
			doors_add(server->shared.doors, message.generation, fds[0]);
			server->newest = message.generation;
		} else {
			obey(server, &message);
		}
		return true;
	}
	if (r == -EPROTO) {
		/* All descriptors are in use, so there is none for the one that came with it. The
		 * sessions must not pay for that. */
		log_error("order-lost",
			  LOG_STR("hint", "raise the limit on open files (LimitNOFILE)"));
		return true;
	}
	if (control_is_delayed(r)) {
		log_warning("order-delayed", LOG_STR("error", strerror(-r)));
	} else if (r != CONTROL_EMPTY) {
		log_error("supervisor-gone", LOG_STR("error", r < 0 ? strerror(-r) : NULL),
			  LOG_STR("hint", r < 0 ? NULL : "it has been killed"));
		server_stop(server);
	}
	return false;
}

/* Takes the connections that other servers have passed. */
static void open_door(struct server *server)
{
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t n_fds;

	while (control_receive(server->launch.door, &message, fds, &n_fds) == CONTROL_RECEIVED) {
		if (message.kind == CONTROL_CONNECTION && n_fds == 1) {
			/* If there is no such worker, no worker knows the session, and any of them
			 * may say so. */
			const struct wire_peer peer = {.address = message.address,
						       .is_secure = message.is_secure,
						       .idle_s = message.idle_s};

			worker_take(server->workers[message.n % server->shared.n_workers], fds[0],
				    &peer);
			continue;
		}
		control_close(fds, n_fds);
	}
}

/* For the service manager's watchdog: says now and then that every worker's loop runs. */
static void report_alive(struct server *server)
{
	const struct metrics *metrics = server->shared.metrics;

	if (!server->launch.alive_ms || !mono_reached(server->alive_due, clock_now())) {
		return;
	}
	server->alive_due = mono_add_ms(clock_now(), server->launch.alive_ms);
	for (unsigned i = 0; i < metrics->n_cells; i++) {
		const struct mono beat = {metrics_read(&metrics->cells[i].beat_ms)};

		if (mono_reached(mono_add_ms(beat, STATUS_HANG_MS), clock_now())) {
			return;
		}
	}
	/* Another one follows soon. */
	(void)!control_send(server->launch.control,
			    &(struct control_message){.kind = CONTROL_ALIVE}, NULL, 0);
}

static void give_memory_back(struct server *server)
{
	struct census *census = server->shared.census;

	/* First: what comes in between counts in both. */
	size_t n_most = census_take_most(census);

	if (!crowd_has_left(&server->crowd, n_most,
			    census_connections(census) + census_sessions(census), clock_now())) {
		return;
	}
	/* What they free goes back the second time, after the pause. */
	for (unsigned i = 0; i < server->n_started; i++) {
		worker_trim(server->workers[i]);
	}
	malloc_trim(0);
}

/* A retired server waits for the requests of connections with TLS: the others were passed on. */
static bool is_over(const struct server *server)
{
	return mono_reached(server->drained_until, clock_now()) ||
	       (census_sessions(server->shared.census) == 0 &&
		(census_connections(server->shared.census) == 0 ||
		 mono_reached(server->arrived_until, clock_now())));
}

static void check_drained(struct server *server)
{
	if (server->is_draining && is_over(server)) {
		server_stop(server);
	}
}

/* How long to wait for an order at most. */
static int turn_ms(const struct server *server)
{
	unsigned ms = server->is_draining ? SERVER_DRAIN_POLL_MS : 1000;
	unsigned alive_ms = server->launch.alive_ms;

	ms = server->owes_report ? SERVER_DRAIN_POLL_MS : ms;
	return (int)(alive_ms && alive_ms < ms ? alive_ms : ms);
}

void server_obey(struct server *server)
{
	while (!server->is_stopping) {
		struct pollfd polled[] = {{.fd = server->launch.control, .events = POLLIN},
					  {.fd = server->launch.door, .events = POLLIN}};

		if (poll(polled, ARRAY_LENGTH(polled), turn_ms(server)) > 0) {
			if (polled[0].revents) {
				server_read_order(server);
			}
			if (polled[1].revents) {
				open_door(server);
			}
		}
		client_log_sum_up(server->shared.client_log, clock_now());
		pay_report(server);
		report_alive(server);
		give_memory_back(server);
		check_drained(server);
	}
}
