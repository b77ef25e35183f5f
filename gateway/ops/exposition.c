/* SPDX-License-Identifier: MIT */
#include "gateway/ops/exposition.h"

#include "common/writer.h"

struct value_entry {
	const char *type, *name, *labels, *help;
};

static const struct value_entry values[] = {
#define X(id, type, name, labels, help) [METRIC_##id] = {type, name, labels, help},
	METRICS_VALUES(X)
#undef X
};

static const struct value_entry histograms[] = {
#define X(id, name, labels, help) [METRIC_HISTOGRAM_##id] = {"histogram", name, labels, help},
	METRICS_HISTOGRAMS(X)
#undef X
};

/* Of a name with several entries only the first one has @help. */
static void write_head(struct writer *writer, const char *type, const char *name, const char *help)
{
	if (help[0]) {
		writer_printf(writer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
	}
}

static void write_values(struct writer *writer, const struct metrics *metrics)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		const struct value_entry *entry = &values[i];
		bool has_labels = entry->labels[0];

		write_head(writer, entry->type, entry->name, entry->help);
		writer_printf(writer, "%s%s%s%s %lld\n", entry->name, has_labels ? "{" : "",
			      entry->labels, has_labels ? "}" : "",
			      (long long)metrics_sum(metrics, (enum metrics_value)i));
	}
}

static void write_histogram(struct writer *writer, const struct metrics *metrics,
			    enum metrics_histogram_id id)
{
	const struct value_entry *entry = &histograms[id];
	const char *comma = entry->labels[0] ? "," : "";
	const char *open = entry->labels[0] ? "{" : "";
	const char *close = entry->labels[0] ? "}" : "";
	int64_t buckets[METRICS_BUCKETS] = {0};
	int64_t n = 0;

	write_head(writer, entry->type, entry->name, entry->help);
	metrics_sum_buckets(metrics, id, buckets);
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		n += buckets[i];
		writer_printf(writer, "%s_bucket{%s%s", entry->name, entry->labels, comma);
		if (i < METRICS_BOUNDS) {
			writer_printf(writer, "le=\"%g\"} %lld\n", (double)metrics_bounds[i] / 1e6,
				      (long long)n);
		} else {
			writer_printf(writer, "le=\"+Inf\"} %lld\n", (long long)n);
		}
	}
	writer_printf(writer, "%s_sum%s%s%s %.9g\n", entry->name, open, entry->labels, close,
		      (double)metrics_sum_us(metrics, id) / 1e6);
	writer_printf(writer, "%s_count%s%s%s %lld\n", entry->name, open, entry->labels, close,
		      (long long)n);
}

static void write_histograms(struct writer *writer, const struct metrics *metrics)
{
	for (unsigned i = 0; i < METRIC_HISTOGRAM_COUNT; i++) {
		write_histogram(writer, metrics, (enum metrics_histogram_id)i);
	}
}

static void write_failures(struct writer *writer, const struct metrics *metrics)
{
	write_head(writer, "counter", "doab_failures_total",
		   "Sessions and requests that failed, by kind.");
	for (unsigned transport = 0; transport < METRICS_TRANSPORT_COUNT; transport++) {
		for (unsigned kind = FAILURE_NONE + 1; kind < FAILURE_COUNT; kind++) {
			int64_t n = metrics_sum_failures(metrics, (enum metrics_transport)transport,
							 (enum failure_kind)kind);

			writer_printf(writer,
				      "doab_failures_total{transport=\"%s\",kind=\"%s\"} %lld\n",
				      metrics_transport_name((enum metrics_transport)transport),
				      failure_name((enum failure_kind)kind), (long long)n);
		}
	}
}

static void write_refusals(struct writer *writer, const struct metrics *metrics)
{
	write_head(writer, "counter", "doab_refusals_total",
		   "What limits refused, by configuration key.");
	for (unsigned i = 0; i < METRIC_REFUSAL_COUNT; i++) {
		writer_printf(writer, "doab_refusals_total{limit=\"%s\"} %lld\n",
			      metrics_refusal_name((enum metrics_refusal)i),
			      (long long)metrics_sum_refusals(metrics, (enum metrics_refusal)i));
	}
}

static void write_held(struct writer *writer, const struct status *status)
{
	write_head(writer, "gauge", "doab_held_bytes",
		   "Memory that counts towards a limit on bytes, by configuration key.");
	writer_printf(writer, "doab_held_bytes{limit=\"login_bytes\"} %zu\n",
		      status->n_login_bytes);
	writer_printf(writer, "doab_held_bytes{limit=\"foreign_bytes\"} %zu\n",
		      status->n_foreign_bytes);
}

static void write_workers(struct writer *writer, const struct status *status)
{
	const struct metrics *metrics = status->metrics;

	write_head(writer, "gauge", "doab_worker_loop_lag_seconds",
		   "How late the worker's loop was last.");
	for (unsigned i = 0; i < metrics->n_cells; i++) {
		writer_printf(writer, "doab_worker_loop_lag_seconds{worker=\"%u\"} %.6f\n", i,
			      (double)metrics_read(&metrics->cells[i].lag_us) / 1e6);
	}
	write_head(writer, "gauge", "doab_worker_sessions", "Sessions of the worker.");
	for (unsigned i = 0; i < metrics->n_cells; i++) {
		writer_printf(writer, "doab_worker_sessions{worker=\"%u\"} %lld\n", i,
			      (long long)status->workers[i].n_sessions);
	}
	write_head(writer, "counter", "doab_worker_cpu_seconds_total",
		   "CPU time of the worker's thread.");
	for (unsigned i = 0; i < metrics->n_cells; i++) {
		writer_printf(writer, "doab_worker_cpu_seconds_total{worker=\"%u\"} %.6f\n", i,
			      (double)metrics_read(&metrics->cells[i].cpu_us) / 1e6);
	}
}

static void write_domains(struct writer *writer, const struct status *status)
{
	if (status->n_configured == 0) {
		return;
	}
	write_head(writer, "gauge", "doab_domain_sessions",
		   "Sessions that a domain section of the configuration "
		   "applies to.");
	for (size_t i = 0; i < status->n_configured; i++) {
		const struct status_domain *domain = &status->configured[i];
		const char *stars = !domain->is_pattern ? "" : domain->name[0] ? "*." : "*";

		writer_printf(writer, "doab_domain_sessions{domain=\"%s%s\"} %zu\n", stars,
			      domain->name, domain->n_sessions);
	}
}

/* The metrics of one series. */
static void write_singles(struct writer *writer, const struct status *status)
{
	const struct process_state *process = status->process;
	const struct process_numbers *numbers = &status->numbers;
	const struct {
		const char *type, *name, *help;
		double value;
	} singles[] = {
		{"gauge", "doab_config_generation",
		 "Number of the configuration in force; 1 is the one of the start.",
		 process->config_generation},
		{"gauge", "doab_config_success",
		 "Whether the last reading of the configuration succeeded.",
		 process->config_is_current},
		{"gauge", "doab_config_loaded_time_seconds",
		 "When the configuration in force was read, in seconds since the epoch.",
		 (double)process->config_loaded},
		{"counter", "doab_config_reloads_failed_total", "Reloads that found a mistake.",
		 process->n_reloads_failed},
		{"gauge", "doab_draining",
		 "Whether no new sessions are opened because the gateway is going to stop.",
		 process->is_draining},
		{"gauge", "doab_sessions_max", "The limit on sessions.",
		 (double)status->config->limits.sessions},
		{"counter", "doab_log_lost_total",
		 "Log lines that were lost because their reader was behind.",
		 (double)status->n_log_lost},
		{"counter", "process_cpu_seconds_total", "CPU time of the process.",
		 numbers->cpu_s},
		{"gauge", "process_resident_memory_bytes", "Memory of the process.",
		 (double)numbers->n_resident},
		{"gauge", "process_open_fds", "Open file descriptors.",
		 (double)numbers->n_descriptors},
		{"gauge", "process_max_fds", "The limit on open file descriptors.",
		 (double)numbers->n_descriptors_max},
		{"gauge", "process_start_time_seconds",
		 "When the process started, in seconds since the epoch.", numbers->started_s},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(singles); i++) {
		write_head(writer, singles[i].type, singles[i].name, singles[i].help);
		writer_printf(writer, "%s %.15g\n", singles[i].name, singles[i].value);
	}
}

int exposition_write(const struct status *status, struct buffer *buffer)
{
	struct writer writer = writer_begin(buffer);

	writer_put(&writer, SV("# HELP doab_build_info The version of the gateway.\n"
			       "# TYPE doab_build_info gauge\n"
			       "doab_build_info{version=\"" DOAB_VERSION "\"} 1\n"));
	write_values(&writer, status->metrics);
	write_histograms(&writer, status->metrics);
	write_failures(&writer, status->metrics);
	write_refusals(&writer, status->metrics);
	write_held(&writer, status);
	write_workers(&writer, status);
	write_domains(&writer, status);
	write_singles(&writer, status);
	return writer_end(&writer);
}
