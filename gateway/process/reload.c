/* SPDX-License-Identifier: MIT */
#include "gateway/process/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "gateway/upstream/tls/authorities.h"

/* config_new() prints a line for each mistake, and for what it accepts with a warning. */
static void log_lines(const char *text, bool are_mistakes)
{
	struct sv rest = sv_from(text);
	struct sv line;

	while (sv_split(&rest, '\n', &line)) {
		if (line.n && are_mistakes) {
			log_error("config-mistake", LOG_SV("text", line));
		} else if (line.n) {
			log_warning("config-warning", LOG_SV("text", line));
		}
	}
}

int reload_read(const char *path, struct config **ret_config)
{
	char *text = NULL;
	size_t n = 0;
	FILE *errors = open_memstream(&text, &n);

	if (!errors) {
		return -ENOMEM;
	}
	int r = config_new(path, errors, ret_config);

	(void)fclose(errors);
	if (text) {
		log_lines(text, r < 0);
	}
	free(text);
	return r;
}

static bool is_same(const char *a, const char *b)
{
	return sv_eq(sv_from(a), sv_from(b));
}

static void log_unchanged(const char *key, uint64_t before, uint64_t after)
{
	log_warning("restart-needed", LOG_STR("key", key), LOG_NUMBER("in-force", before),
		    LOG_NUMBER("in-file", after));
}

void reload_log_restart(const struct config *before, const struct config *after)
{
	if (before->n_workers != after->n_workers) {
		log_unchanged("workers", before->n_workers, after->n_workers);
	}
	if (before->log_place != after->log_place || before->log_format != after->log_format ||
	    !is_same(before->log_path, after->log_path)) {
		log_warning("restart-needed", LOG_STR("key", "log_to"));
	}
	if (!is_same(before->admin, after->admin)) {
		log_warning("restart-needed", LOG_STR("key", "admin"));
	}
	if (before->has_sandbox != after->has_sandbox) {
		log_warning("restart-needed", LOG_STR("key", "sandbox"));
	}
	/* The descriptors of a process, and the tables for them, are set aside at its start. */
	if (before->limits.sessions < after->limits.sessions) {
		log_unchanged("max_sessions", before->limits.sessions, after->limits.sessions);
	}
}

void reload_warn_without_authorities(const struct config *config)
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

void reload_done(struct process_state *state, int r)
{
	state->n_reloads++;
	state->config_is_current = r == 0;
	if (r < 0) {
		state->n_reloads_failed++;
		log_error("reload-failed", LOG_STR("error", strerror(-r)),
			  LOG_NUMBER("generation", state->config_generation),
			  LOG_STR("hint", "the configuration in force stays"));
		return;
	}
	state->config_generation++;
	state->config_loaded = (unsigned long long)time(NULL);
	log_info("reloaded", LOG_NUMBER("generation", state->config_generation));
}
