/* SPDX-License-Identifier: MIT */
/*
 * The main thread: reads the configuration, starts the workers, waits for a signal, and stops them.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/descriptors.h"
#include "gateway/http/site.h"
#include "gateway/log-setup.h"
#include "gateway/ops/probe.h"
#include "gateway/options.h"
#include "gateway/upstream/tls/authorities.h"
#include "gateway/worker.h"

/* Opens /dev/null for each standard descriptor that was closed when the program started. Otherwise
 * a socket could get one of their numbers, and the log would be written to it. Returns 0 or a
 * negative errno. */
static int fill_standard_descriptors(void)
{
	/* Standard output is opened read-only so that writing to it still fails, as --version must
	 * when there is none. */
	static const int modes[] = {
		[STDIN_FILENO] = O_RDONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_WRONLY};

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* The lower ones are open, so open(2) returns this one. */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) < 0) {
			return -errno;
		}
	}
	return 0;
}

/* Only the main thread handles signals, in wait_for_signal(). They are blocked before other threads
 * start because threads inherit the mask. */
static void block_signals(sigset_t *ret_signals)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

	sigemptyset(ret_signals);
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		sigaddset(ret_signals, numbers[i]);
	}
	pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
}

static int make_workers(const struct worker_shared *shared, struct worker **workers,
			unsigned n_workers)
{
	for (unsigned i = 0; i < n_workers; i++) {
		int r = worker_new(shared, i, &workers[i]);

		if (r < 0) {
			return r;
		}
	}
	worker_connect(workers, n_workers);
	return 0;
}

/* Checked at the start, because otherwise every session would fail separately, with no better
 * explanation than an untrusted certificate. */
static void warn_without_authorities(const struct config *config)
{
	bool is_found = true;

	if (domain_rules_need_system_store(&config->domains) && authorities_find(&is_found) == 0 &&
	    !is_found) {
		log_warning("no-authorities", LOG_STR("file", authorities_file()),
			    LOG_STR("folders", authorities_folders()),
			    LOG_STR("hint",
				    "no server's certificate can be verified: install the package "
				    "ca-certificates and restart, or name a ca_file"));
	}
}

/* The clock of the workers' loops. */
static struct mono now(void)
{
	return (struct mono){(int64_t)(uv_hrtime() / 1000000)};
}

/* Waits for a signal to stop, and returns it. */
static int wait_for_signal(const sigset_t *signals, const struct worker_shared *shared)
{
	static const struct timespec second = {.tv_sec = 1};

	for (;;) {
		int number = sigtimedwait(signals, NULL, &second);

		client_log_sum_up(shared->client_log, now());
		switch (number) {
		case SIGINT:
		case SIGTERM:
			return number;
		case SIGUSR1:
			metrics_log_failures(shared->metrics);
			break;
		case SIGHUP:
			log_reopen();
			/* fall through */
		case SIGUSR2:
			/* Other daemons reload their configuration on these signals. An operator
			 * who tries that here must not end all sessions. */
			log_warning("signal-ignored", LOG_STR("signal", strsignal(number)));
			break;
		}
	}
}

static int run_workers(const struct worker_shared *shared, struct worker **workers,
		       const sigset_t *signals)
{
	const struct config *config = shared->config;
	unsigned n_started = 0;
	int r = 0;

	while (r == 0 && n_started < config->n_workers) {
		r = worker_start(workers[n_started]);
		n_started += r == 0;
	}
	if (r == 0) {
		worker_log_listening(workers[0]);
		log_info("ready", LOG_STR("version", DOAB_VERSION),
			 LOG_NUMBER("workers", config->n_workers));
		int number = wait_for_signal(signals, shared);

		log_info("stopping", LOG_STR("signal", strsignal(number)));
	}
	for (unsigned i = 0; i < n_started; i++) {
		worker_stop(workers[i]);
	}
	for (unsigned i = 0; i < n_started; i++) {
		worker_join(workers[i]);
	}
	return r;
}

static int serve(const struct config *config, const sigset_t *signals)
{
	struct worker_shared shared = {.config = config};
	struct worker **workers = calloc(config->n_workers, sizeof(struct worker *));
	struct site *site = NULL;
	int r = workers ? census_new(&config->limits, &shared.census) : -ENOMEM;

	warn_without_authorities(config);
	if (r == 0) {
		r = descriptors_limit(
			descriptors_needed(config->limits.sessions, config->n_workers),
			&shared.n_descriptors);
	}
	if (r == 0) {
		r = budget_new(&config->budget, config->n_workers, &shared.budget);
	}
	if (r == 0) {
		r = metrics_new(config->n_workers, &shared.metrics);
	}
	if (r == 0) {
		r = client_log_new(&config->limits, &shared.client_log);
	}
	if (r == 0) {
		r = site_new(config, &site);
	}
	if (r == 0) {
		shared.site = site;
		r = make_workers(&shared, workers, config->n_workers);
	}
	if (r == 0) {
		r = run_workers(&shared, workers, signals);
		client_log_sum_up(shared.client_log, MONO_NEVER);
		metrics_log_failures(shared.metrics);
	}
	for (unsigned i = 0; workers && i < config->n_workers; i++) {
		worker_free(workers[i]);
	}
	free(workers);
	site_free(site);
	metrics_free(shared.metrics);
	client_log_free(shared.client_log);
	budget_free(shared.budget);
	census_free(shared.census);
	return r;
}

/* Runs --check or --probe. Returns the exit status. */
static int run_by_hand(const struct options *options, const struct config *config)
{
	if (options->action == OPTION_PROBE) {
		return (int)probe_run(config, options->config, options->value, stdout);
	}
	printf("%s: OK\n", options->config);
	return options_flush_output();
}

/* Runs --dump. Returns the exit status. */
static int dump_config(const char *path)
{
	_cleanup_(buffer_deinit) struct buffer dump = BUFFER_INIT;

	if (config_dump(path, stderr, &dump) < 0) {
		return EXIT_FAILURE;
	}
	fwrite(buffer_sv(&dump).data, 1, dump.n, stdout);
	return options_flush_output();
}

static int run_service(const struct config *config, const sigset_t *signals)
{
	int r = log_setup_start(config);

	if (r == 0) {
		r = serve(config, signals);
	}
	if (r < 0) {
		log_error("failed", LOG_STR("error", strerror(-r)));
	} else {
		log_info("stopped", LOG_STR("version", DOAB_VERSION));
	}
	log_stop();
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options;
	struct config *config;
	sigset_t signals;
	int status;

	/* Must come first, because anything else may open a descriptor. */
	int r = fill_standard_descriptors();

	if (r < 0) {
		fprintf(stderr, "doab: /dev/null: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	if (options_read(argc, argv, &options, &status) != OPTIONS_OK) {
		return status;
	}
	/* Writing to a closed connection must return an error, also in libraries that do not use
	 * MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	if (options.action == OPTION_DUMP) {
		return dump_config(options.config);
	}
	bool by_hand = options.action != OPTION_NONE;

	if (!by_hand) {
		block_signals(&signals);
	}
	if (config_new(options.config, stderr, &config) < 0) {
		return options.action == OPTION_PROBE ? (int)PROBE_CANNOT : EXIT_FAILURE;
	}
	status = by_hand ? run_by_hand(&options, config) : run_service(config, &signals);
	config_unref(config);
	return status;
}
