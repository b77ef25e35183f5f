/* SPDX-License-Identifier: MIT */
/*
 * Reads the command line and does what it says. The service itself is two programs in one: the
 * supervisor, which the operator starts, and the server, which the supervisor starts
 * (gateway/process/).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/ops/admin-client.h"
#include "gateway/ops/probe.h"
#include "gateway/options.h"
#include "gateway/process/server.h"
#include "gateway/process/supervisor.h"

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

static int ask_admin(const struct options *options, const struct config *config,
		     enum admin_client_question question)
{
	int status = admin_client_run(config, question, options->value, stdout);
	int flushed = options_flush_output();

	return status ? status : flushed;
}

/* Does what is to be done instead of serving. Returns the exit status. */
static int run_by_hand(const struct options *options, const struct config *config)
{
	switch (options->action) {
	case OPTION_PROBE:
		return (int)probe_run(config, options->config, options->value,
				      options->wants_json ? PROBE_FORM_JSON : PROBE_FORM_TEXT,
				      stdout);
	case OPTION_STATUS:
		return ask_admin(options, config, ADMIN_CLIENT_STATUS);
	case OPTION_SESSIONS:
		return ask_admin(options, config, ADMIN_CLIENT_SESSIONS);
	case OPTION_KICK:
		return ask_admin(options, config, ADMIN_CLIENT_KICK);
	default:
		printf("%s: OK\n", options->config);
		return options_flush_output();
	}
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

/* Runs as a supervisor or, if a supervisor started this process, as a server. Returns the exit
 * status. */
static int run_service(const struct options *options, const struct launch *launch,
		       enum launch_result launched, char **argv)
{
	switch (launched) {
	case LAUNCH_NONE:
		return supervisor_run(argv);
	case LAUNCH_FOUND:
		return server_run(launch, options->config);
	case LAUNCH_E_PROTOCOL:
		break;
	}
	fprintf(stderr, "doab: this version cannot take over from the one that runs: restart it\n");
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct options options;
	struct launch launch;
	struct config *config;
	int status;

	/* Must come first, because anything else may open a descriptor. */
	int r = fill_standard_descriptors();

	if (r < 0) {
		fprintf(stderr, "doab: /dev/null: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	launch_init(argv[0]);
	enum launch_result launched = launch_read(&launch);

	if (options_read(argc, argv, &options, &status) != OPTIONS_OK) {
		return status;
	}
	/* Writing to a closed connection must return an error, also in libraries that do not use
	 * MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	if (options.action == OPTION_DUMP) {
		return dump_config(options.config);
	}
	if (options.action == OPTION_NONE) {
		return run_service(&options, &launch, launched, argv);
	}
	if (config_new(options.config, stderr, &config) < 0) {
		return options.action == OPTION_PROBE ? (int)PROBE_CANNOT : EXIT_FAILURE;
	}
	status = run_by_hand(&options, config);
	config_unref(config);
	return status;
}
