/* SPDX-License-Identifier: MIT */
#include "gateway/ops/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool status_is_healthy(const struct process_state *process, const struct metrics *metrics,
		       struct mono now, char ret_words[static STATUS_WORDS_MAX])
{
	/* Where another server has taken over, new sessions are opened. */
	if (process->is_draining && process->successor < 0) {
		snprintf(ret_words, STATUS_WORDS_MAX, "draining: no new sessions are opened");
		return false;
	}
	for (unsigned i = 0; i < metrics->n_cells; i++) {
		int64_t beat_ms = metrics_read(&metrics->cells[i].beat_ms);

		if (beat_ms == 0) {
			snprintf(ret_words, STATUS_WORDS_MAX, "worker %u does not run", i);
			return false;
		}
		if (now.ms - beat_ms > STATUS_HANG_MS) {
			snprintf(ret_words, STATUS_WORDS_MAX,
				 "worker %u has not answered for %lld seconds", i,
				 (long long)(now.ms - beat_ms) / 1000);
			return false;
		}
	}
	snprintf(ret_words, STATUS_WORDS_MAX, "ok");
	return true;
}

/* Domains. */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Inserts @domain where it belongs, if it belongs to the first ones. */
static void add_top(struct status *status, const struct status_domain *domain)
{
	size_t at = status->n_top;

	while (at && status->top[at - 1].n_sessions < domain->n_sessions) {
		at--;
	}
	if (at == STATUS_DOMAINS_MAX) {
		return;
	}
	size_t n_moved = status->n_top - at;

	if (status->n_top == STATUS_DOMAINS_MAX) {
		n_moved--;
	} else {
		status->n_top++;
	}
	memmove(&status->top[at + 1], &status->top[at], n_moved * sizeof(*domain));
	status->top[at] = *domain;
}

static void add_configured(struct status *status, const char *name, size_t n_sessions)
{
	const struct domain_rule *rule = domain_rules_find(&status->config->domains, name);

	for (size_t i = 0; rule && i < status->n_configured; i++) {
		struct status_domain *domain = &status->configured[i];

		if (domain->is_pattern == rule->is_pattern &&
		    strcmp(domain->name, rule->name) == 0) {
			domain->n_sessions += n_sessions;
			return;
		}
	}
}

static void start_configured(struct status *status)
{
	const struct domain_rules *rules = &status->config->domains;

	status->n_configured = 0;
	for (size_t i = 0; i < rules->n_rules && i < STATUS_CONFIGURED_MAX; i++) {
		status->configured[status->n_configured++] = (struct status_domain){
			.name = rules->rules[i].name,
			.is_pattern = rules->rules[i].is_pattern,
		};
	}
}

int status_count_domains(struct status *status, const struct session_list *list)
{
	size_t n = session_list_count(list);
	const char **names = malloc((n + 1) * sizeof(*names));

	if (!names) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		names[i] = session_list_domain(list, session_list_row(list, i));
	}
	qsort(names, n, sizeof(*names), compare_texts);
	status->n_top = 0;
	start_configured(status);
	for (size_t i = 0; i < n;) {
		struct status_domain domain = {.name = names[i]};

		while (i < n && strcmp(names[i], domain.name) == 0) {
			domain.n_sessions++;
			i++;
		}
		add_top(status, &domain);
		add_configured(status, domain.name, domain.n_sessions);
	}
	free(names);
	return 0;
}

/* Failures and round trips. */

static int compare_failures(const void *a_pointer, const void *b_pointer)
{
	const struct status_failure *a = a_pointer;
	const struct status_failure *b = b_pointer;

	if (a->n_hour != b->n_hour) {
		return a->n_hour < b->n_hour ? 1 : -1;
	}
	return a->n_total < b->n_total ? 1 : a->n_total > b->n_total ? -1 : 0;
}

size_t status_failures(const struct status *status, struct status_failure ret[static FAILURE_COUNT])
{
	const struct sample *before = samples_since(status->samples, status->now, STATUS_HOUR_MS);
	struct sample now;
	size_t n = 0;

	sample_take(&now, status->metrics, status->now);
	for (unsigned kind = FAILURE_NONE + 1; kind < FAILURE_COUNT; kind++) {
		if (now.failures[kind]) {
			ret[n++] = (struct status_failure){
				.kind = (enum failure_kind)kind,
				.n_hour = now.failures[kind] - before->failures[kind],
				.n_total = now.failures[kind],
			};
		}
	}
	qsort(ret, n, sizeof(*ret), compare_failures);
	return n;
}

int64_t status_round_trips(const struct status *status, int64_t ret_buckets[static METRICS_BUCKETS])
{
	const struct sample *before = samples_since(status->samples, status->now, STATUS_RECENT_MS);
	struct sample now;
	int64_t n = 0;

	sample_take(&now, status->metrics, status->now);
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		ret_buckets[i] = now.round_trips[i] - before->round_trips[i];
		n += ret_buckets[i];
	}
	return n;
}
