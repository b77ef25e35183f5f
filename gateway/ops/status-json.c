/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/json.h"
#include "gateway/ops/status.h"

static void write_sum(struct writer *writer, const char *key, const struct status *status,
		      enum metrics_value value)
{
	json_member_number(writer, key, metrics_sum(status->metrics, value));
}

static void write_process(struct writer *writer, const struct status *status)
{
	const struct process_state *process = status->process;
	const struct process_numbers *numbers = &status->numbers;
	char words[STATUS_WORDS_MAX];
	bool is_healthy = status_is_healthy(process, status->metrics, status->now, words);

	json_member_string(writer, "version", SV(DOAB_VERSION));
	json_member_number(writer, "uptime_s", status->uptime_ms / 1000);
	json_member_bool(writer, "healthy", is_healthy);
	json_member_string(writer, "health", sv_from(words));
	json_member_bool(writer, "draining", process->is_draining);
	json_member_number(writer, "generation", process->generation);
	json_open_object(writer, "config");
	json_member_number(writer, "generation", process->config_generation);
	json_member_bool(writer, "current", process->config_is_current);
	json_member_number(writer, "loaded", (int64_t)process->config_loaded);
	json_member_number(writer, "reloads_failed", process->n_reloads_failed);
	json_close_object(writer);
	json_member_number(writer, "log_lost", (int64_t)status->n_log_lost);
	json_open_object(writer, "process");
	json_member_number(writer, "memory_bytes", numbers->n_resident);
	json_member_number(writer, "descriptors", numbers->n_descriptors);
	json_member_number(writer, "descriptors_max", numbers->n_descriptors_max);
	json_member_real(writer, "cpu_s", numbers->cpu_s);
	json_close_object(writer);
}

static void write_transport(struct writer *writer, const struct status *status,
			    enum metrics_transport transport)
{
	json_open_object(writer, metrics_transport_name(transport));
	write_sum(writer, "connecting", status, METRIC_CONNECTING_BOSH + transport);
	write_sum(writer, "ready", status, METRIC_READY_BOSH + transport);
	write_sum(writer, "online", status, METRIC_ONLINE_BOSH + transport);
	write_sum(writer, "opened", status, METRIC_OPENED_BOSH + transport);
	write_sum(writer, "stanzas_in", status, METRIC_STANZAS_IN_BOSH + transport);
	write_sum(writer, "stanzas_out", status, METRIC_STANZAS_OUT_BOSH + transport);
	write_sum(writer, "bytes_in", status, METRIC_BYTES_IN_BOSH + transport);
	write_sum(writer, "bytes_out", status, METRIC_BYTES_OUT_BOSH + transport);
	json_close_object(writer);
}

static void write_traffic(struct writer *writer, const struct status *status)
{
	int64_t buckets[METRICS_BUCKETS];
	json_open_object(writer, "sessions");
	json_member_number(writer, "max", (int64_t)status->config->limits.sessions);
	write_transport(writer, status, METRICS_BOSH);
	write_transport(writer, status, METRICS_WEBSOCKET);
	json_close_object(writer);
	write_sum(writer, "connections", status, METRIC_CONNECTIONS);
	int64_t n = status_round_trips(status, buckets);

	json_open_object(writer, "round_trips");
	json_member_number(writer, "seconds", STATUS_RECENT_MS / 1000);
	json_member_number(writer, "n", n);
	json_member_real(writer, "p50_ms", (double)metrics_quantile(buckets, 0.5) / 1e3);
	json_member_real(writer, "p95_ms", (double)metrics_quantile(buckets, 0.95) / 1e3);
	json_member_real(writer, "p99_ms", (double)metrics_quantile(buckets, 0.99) / 1e3);
	json_close_object(writer);
}

static void write_failures(struct writer *writer, const struct status *status)
{
	struct status_failure failures[FAILURE_COUNT];
	size_t n = status_failures(status, failures);

	json_open_array(writer, "failures");
	for (size_t i = 0; i < n; i++) {
		json_open_object(writer, NULL);
		json_member_string(writer, "kind", sv_from(failure_name(failures[i].kind)));
		json_member_string(writer, "words", sv_from(failure_sentence(failures[i].kind)));
		json_member_number(writer, "last_hour", failures[i].n_hour);
		json_member_number(writer, "total", failures[i].n_total);
		json_close_object(writer);
	}
	json_close_array(writer);
	json_open_object(writer, "refusals");
	for (unsigned i = 0; i < METRIC_REFUSAL_COUNT; i++) {
		json_member_number(writer, metrics_refusal_name((enum metrics_refusal)i),
				   metrics_sum_refusals(status->metrics, (enum metrics_refusal)i));
	}
	json_close_object(writer);
}

static void write_lists(struct writer *writer, const struct status *status)
{
	json_open_array(writer, "domains");
	for (size_t i = 0; i < status->n_top; i++) {
		json_open_object(writer, NULL);
		json_member_string(writer, "domain", sv_from(status->top[i].name));
		json_member_number(writer, "sessions", (int64_t)status->top[i].n_sessions);
		json_close_object(writer);
	}
	json_close_array(writer);
	json_open_array(writer, "workers");
	for (unsigned i = 0; i < status->metrics->n_cells; i++) {
		const struct metrics_cell *cell = &status->metrics->cells[i];

		json_open_object(writer, NULL);
		json_member_number(writer, "sessions", status->workers[i].n_sessions);
		json_member_real(writer, "load", status->workers[i].load);
		json_member_real(writer, "lag_ms", (double)metrics_read(&cell->lag_us) / 1e3);
		json_member_number(writer, "silent_ms",
				   status->now.ms - metrics_read(&cell->beat_ms));
		json_close_object(writer);
	}
	json_close_array(writer);
}

/* The samples, the oldest first. Each round trip is the median since the sample before; null where
 * there was none. */
static void write_history(struct writer *writer, const struct status *status)
{
	const struct samples *samples = status->samples;

	json_open_object(writer, "history");
	json_member_number(writer, "interval_s", SAMPLES_INTERVAL_S);
	for (unsigned transport = METRICS_BOSH; transport <= METRICS_WEBSOCKET; transport++) {
		json_open_array(writer, metrics_transport_name((enum metrics_transport)transport));
		for (size_t i = 0; i < samples->n; i++) {
			json_next(writer);
			writer_printf(writer, "%lld",
				      (long long)samples_at(samples, i)->sessions[transport]);
		}
		json_close_array(writer);
	}
	json_open_array(writer, "round_trip_ms");
	for (size_t i = 1; i < samples->n; i++) {
		int64_t buckets[METRICS_BUCKETS];
		int64_t n = 0;

		for (size_t j = 0; j < METRICS_BUCKETS; j++) {
			buckets[j] = samples_at(samples, i)->round_trips[j] -
				     samples_at(samples, i - 1)->round_trips[j];
			n += buckets[j];
		}
		json_next(writer);
		if (n) {
			writer_printf(writer, "%.3g", (double)metrics_quantile(buckets, 0.5) / 1e3);
		} else {
			writer_put(writer, SV("null"));
		}
	}
	json_close_array(writer);
	json_close_object(writer);
}

int status_write_json(const struct status *status, struct buffer *buffer)
{
	struct writer writer = writer_begin(buffer);

	json_open_object(&writer, NULL);
	write_process(&writer, status);
	write_traffic(&writer, status);
	write_failures(&writer, status);
	write_lists(&writer, status);
	write_history(&writer, status);
	json_close_object(&writer);
	writer_put(&writer, SV("\n"));
	return writer_end(&writer);
}

int status_write_sessions_json(const struct session_list *list, struct buffer *buffer)
{
	struct writer writer = writer_begin(buffer);
	char client[ADDRESS_TEXT_MAX];

	json_open_object(&writer, NULL);
	json_open_array(&writer, "sessions");
	for (size_t i = 0; i < session_list_count(list); i++) {
		const struct session_row *row = session_list_row(list, i);

		json_open_object(&writer, NULL);
		json_member_string(&writer, "session", sv_from(row->name));
		json_member_string(&writer, "transport",
				   sv_from(metrics_transport_name(row->transport)));
		json_member_string(&writer, "state", sv_from(session_state_name(row->state)));
		json_member_string(&writer, "client",
				   sv_from(address_format_host(&row->client, client)));
		json_member_string(&writer, "domain", sv_from(session_list_domain(list, row)));
		json_member_number(&writer, "worker", row->worker);
		json_member_number(&writer, "age_ms", row->age_ms);
		json_member_number(&writer, "bytes_from_client", (int64_t)row->n_from_client);
		json_member_number(&writer, "bytes_to_client", (int64_t)row->n_to_client);
		json_close_object(&writer);
	}
	json_close_array(&writer);
	json_member_number(&writer, "silent_workers", list->n_silent);
	json_close_object(&writer);
	writer_put(&writer, SV("\n"));
	return writer_end(&writer);
}
