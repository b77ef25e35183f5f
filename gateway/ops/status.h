/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the admin listener reports about the gateway at one moment, and writing it as JSON or as
 * text for a terminal; exposition.h writes it for Prometheus. Writing does no I/O.
 *
 * top domains  those with the most sessions
 * configured   a domain section of the configuration; the sessions that it applies to
 * silent       a worker whose loop has not run for STATUS_HANG_MS: it hangs
 */
#include "gateway/config/config.h"
#include "gateway/ops/process-facts.h"
#include "gateway/ops/samples.h"
#include "gateway/ops/session-list.h"
#include "gateway/process/state.h"

enum {
	STATUS_HANG_MS = 5000,
	STATUS_DOMAINS_MAX = 10,
	/* Series of the metrics: an operator with 20,000 sections wants no 20,000 series. */
	STATUS_CONFIGURED_MAX = 100,
	STATUS_HOUR_MS = 3600 * 1000,
	/* The time over which round trips are reported. */
	STATUS_RECENT_MS = 5 * 60 * 1000,
	STATUS_WORDS_MAX = 100, /* of status_is_healthy() */
};

struct status_domain {
	const char *name; /* borrowed */
	bool is_pattern;  /* configured as "*." and the name; "*" has an empty name */
	size_t n_sessions;
};

struct status_worker {
	int64_t n_sessions;
	double load; /* of a core, 0 to 1, since the sample before the last; negative: not known */
};

/* Everything is borrowed, for the call of the function that it is given to. */
struct status {
	struct mono now; /* of the clock of the workers' loops */
	int64_t uptime_ms;
	const struct config *config;
	const struct process_state *process;
	const struct metrics *metrics;
	const struct samples *samples;
	struct process_numbers numbers;
	uint64_t n_log_lost;
	/* What the limits of these names bound (policy/budget.h). */
	size_t n_login_bytes, n_foreign_bytes;
	const struct status_worker *workers; /* metrics->n_cells */
	struct status_domain top[STATUS_DOMAINS_MAX];
	size_t n_top;
	struct status_domain configured[STATUS_CONFIGURED_MAX];
	size_t n_configured;
};

/* Whether sessions are served and every worker's loop runs. If not, @ret_words says what is
 * wrong. */
_must_check_ bool status_is_healthy(const struct process_state *process,
				    const struct metrics *metrics, struct mono now,
				    char ret_words[static STATUS_WORDS_MAX]);

/* Sets the domains of @status from @list, which is borrowed as long as @status is used. Returns 0
 * or -ENOMEM. */
_must_check_ int status_count_domains(struct status *status, const struct session_list *list);

/* Append the status. Return 0 or -ENOMEM. */
_must_check_ int status_write_json(const struct status *status, struct buffer *buffer);
_must_check_ int status_write_text(const struct status *status, bool is_coloured,
				   struct buffer *buffer);

/* Append the list of sessions. Return 0 or -ENOMEM. */
_must_check_ int status_write_sessions_json(const struct session_list *list, struct buffer *buffer);
_must_check_ int status_write_sessions_text(const struct session_list *list, struct buffer *buffer);

/* How often there was a failure of one kind since the start and in the last hour. */
struct status_failure {
	enum failure_kind kind;
	int64_t n_hour, n_total;
};

/* Sets the failures that have been, those of the last hour first and the most frequent first.
 * Returns their number. */
size_t status_failures(const struct status *status,
		       struct status_failure ret[static FAILURE_COUNT]);

/* The round trips of the last STATUS_RECENT_MS, over both transports. Returns their number. */
int64_t status_round_trips(const struct status *status,
			   int64_t ret_buckets[static METRICS_BUCKETS]);
