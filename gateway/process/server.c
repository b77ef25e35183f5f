/* SPDX-License-Identifier: MIT */
#include "gateway/process/server.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "gateway/descriptors.h"
#include "gateway/process/door.h"
#include "gateway/log-setup.h"
#include "gateway/ops/admin.h"
#include "gateway/process/binder.h"
#include "gateway/process/openssl-memory.h"
#include "gateway/process/reload.h"
#include "gateway/process/sandbox.h"
#include "gateway/process/server-state.h"
#include "policy/known-keys.h"

enum {
	/* Larger blocks are mapped one by one. Left to itself, the C library maps each block that
	 * is larger than those that were freed before, so that the kernel clears 65 pages for
	 * each stanza of 256 KB. */
	MAPPED_BLOCK_MIN = 1024 * 1024,
	/* So much free memory is kept at the end of a heap; more goes back to the kernel. It is
	 * enough for some of the largest stanzas, whose memory the next ones would need again. */
	HEAP_SPARE_MAX = 2 * 1024 * 1024,
};

static int make_workers(struct server *server)
{
	server->workers = calloc(server->shared.n_workers, sizeof(*server->workers));
	server->shared.envs = calloc(server->shared.n_workers, sizeof(*server->shared.envs));
	if (!server->workers || !server->shared.envs) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < server->shared.n_workers; i++) {
		int r = worker_new(&server->shared, i, &server->workers[i]);

		if (r < 0) {
			return r;
		}
	}
	worker_connect(server->workers, server->shared.n_workers);
	return 0;
}

static void release_workers(struct server *server)
{
	for (unsigned i = 0; i < server->n_started; i++) {
		worker_release(server->workers[i]);
	}
}

static int run_workers(struct server *server, struct listening *listening)
{
	struct pollfd control = {.fd = server->launch.control, .events = POLLIN};
	int r = 0;

	/* The supervisor has sent the doors of the earlier servers: requests for their sessions may
	 * be the first that come. */
	while (poll(&control, 1, 0) > 0 && server_read_order(server)) {
	}
	while (r == 0 && server->n_started < server->shared.n_workers) {
		r = worker_start(server->workers[server->n_started]);
		server->n_started += r == 0;
	}
	r = r < 0 ? r : openssl_memory_check();
	if (r == 0) {
		listening_log(listening);
		/* The workers have duplicates. One more would keep a socket open for ever, with
		 * connections that nobody accepts. */
		listening_deinit(listening);
		binder_commit(server->launch.binder, true);
		/* This comes before the first answer and before the log line. A program that reads
		 * one of them may send a signal at once, and the supervisor kills a server that is
		 * still starting. */
		server_report_ready(server);
		log_info("ready", LOG_STR("version", DOAB_VERSION),
			 LOG_NUMBER("workers", server->shared.n_workers));
		release_workers(server);
		server_obey(server);
	} else {
		server_stop(server);
		release_workers(server);
	}
	for (unsigned i = 0; i < server->n_started; i++) {
		worker_join(server->workers[i]);
	}
	return r;
}

/* What all workers share. */
static int make_shared(struct server *server)
{
	const struct config *config = server->shared.snapshot->config;
	struct worker_shared *shared = &server->shared;
	int r = census_new(&config->limits, &shared->census);

	if (r == 0) {
		r = descriptors_set(config->limits.sessions, config->n_workers,
				    &shared->n_descriptors);
	}
	if (r == 0) {
		r = budget_new(&config->budget, config->n_workers, &shared->budget);
	}
	if (r == 0) {
		r = budget_new(&config->foreign_budget, config->n_workers, &shared->foreign_budget);
	}
	if (r == 0) {
		r = doors_new(&shared->doors);
	}
	if (r == 0) {
		r = throttle_new(&shared->throttle);
	}
	if (r == 0) {
		r = known_keys_new(&shared->known_keys);
	}
	if (r == 0) {
		r = metrics_new(config->n_workers, &shared->metrics);
	}
	if (r == 0) {
		r = client_log_new(&config->limits, &shared->client_log);
	}
	return r;
}

static void free_all(struct server *server)
{
	for (unsigned i = 0; server->workers && i < server->shared.n_workers; i++) {
		worker_free(server->workers[i]);
	}
	free(server->workers);
	free(server->shared.envs);
	metrics_free(server->shared.metrics);
	client_log_free(server->shared.client_log);
	budget_free(server->shared.budget);
	budget_free(server->shared.foreign_budget);
	throttle_free(server->shared.throttle);
	known_keys_free(server->shared.known_keys);
	doors_free(server->shared.doors);
	census_free(server->shared.census);
	snapshot_unref(server->shared.snapshot);
}

static int start_admin(struct server *server)
{
	const struct worker_shared *shared = &server->shared;
	const struct admin_options options = {
		.place = shared->snapshot->config->admin,
		.config = shared->snapshot->config,
		.process = &server->state,
		.metrics = shared->metrics,
		.envs = shared->envs,
	};

	return options.place[0] ? admin_new(&options, &server->admin) : 0;
}

static int serve(struct server *server)
{
	struct listening listening = {0};
	const struct config *config = server->shared.snapshot->config;

	server->shared.n_workers = config->n_workers;
	server->n_sessions_max = config->limits.sessions;
	server->shared.listening = &listening;
	reload_warn_without_authorities(config);
	int r = make_shared(server);

	if (r == 0) {
		r = binder_open(server->launch.binder, config, &listening);
	}
	if (r == 0) {
		r = make_workers(server);
	}
	if (r == 0) {
		r = start_admin(server);
	}
	if (r == 0) {
		r = run_workers(server, &listening);
		client_log_sum_up(server->shared.client_log, MONO_NEVER);
		metrics_log_failures(server->shared.metrics);
	}
	server->admin = admin_free(server->admin);
	listening_deinit(&listening);
	return r;
}

static int run(struct server *server)
{
	/* The log borrows texts of it. */
	const struct config *config = config_ref(server->shared.snapshot->config);
	struct sandbox sandbox;
	/* Before the first thread. */
	int r = sandbox_enter(config, &sandbox);

	if (r == 0) {
		r = log_setup_start(config);
	}

	if (r == 0) {
		sandbox_log(&sandbox);
		r = serve(server);
	}
	if (r < 0) {
		log_error("failed", LOG_STR("error", strerror(-r)));
	} else {
		log_info("stopped", LOG_STR("version", DOAB_VERSION));
	}
	log_stop();
	config_unref(config);
	return r;
}

int server_run(const struct launch *launch, const char *path)
{
	struct server server = {
		.launch = *launch,
		.path = path,
		.state = {.generation = launch->generation,
			  .successor = -1,
			  .config_generation = 1,
			  .config_is_current = true,
			  .config_loaded = (unsigned long long)time(NULL)},
	};
	struct config *config;

	mallopt(M_MMAP_THRESHOLD, MAPPED_BLOCK_MIN);
	mallopt(M_TRIM_THRESHOLD, HEAP_SPARE_MAX);
	/* A supervisor that is killed takes its servers along: nobody else could end them. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	server.shared.process = &server.state;
	if (openssl_memory_watch() < 0) {
		fprintf(stderr, "doab: %s\n", strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	if (config_new(path, stderr, &config) < 0) {
		return EXIT_FAILURE;
	}
	int r = snapshot_new(config, &server.shared.snapshot);

	if (r < 0) {
		fprintf(stderr, "doab: %s\n", strerror(-r));
	} else {
		r = run(&server);
	}
	free_all(&server);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
