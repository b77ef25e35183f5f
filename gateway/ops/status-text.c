/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "common/writer.h"
#include "gateway/ops/sheet.h"
#include "gateway/ops/status.h"

enum {
	DURATION_MAX = 32,
	AMOUNT_MAX = 32,
	SHARE_PERCENT = 100,
};

/* "3 d 4 h", "4 h 5 min", "5 min 6 s", "6 s". */
static const char *duration(int64_t ms, char text[static DURATION_MAX])
{
	static const struct {
		const char *name, *next;
		int64_t s, next_s;
	} units[] = {{"d", "h", 86400, 3600},
		     {"h", "min", 3600, 60},
		     {"min", "s", 60, 1},
		     {"s", "", 1, 1}};
	int64_t s = ms > 0 ? ms / 1000 : 0;
	size_t i = 0;

	while (i < ARRAY_LENGTH(units) - 1 && s < units[i].s) {
		i++;
	}
	int n = snprintf(text, DURATION_MAX, "%lld %s", (long long)(s / units[i].s), units[i].name);

	if (units[i].next[0]) {
		snprintf(text + n, DURATION_MAX - (size_t)n, " %lld %s",
			 (long long)(s % units[i].s / units[i].next_s), units[i].next);
	}
	return text;
}

/* "12 B", "3.4 KB", ... */
static const char *amount(uint64_t n, char text[static AMOUNT_MAX])
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
	double value = (double)n;
	size_t i = 0;

	while (i < ARRAY_LENGTH(units) - 1 && value >= 1000) {
		value /= 1000;
		i++;
	}
	snprintf(text, AMOUNT_MAX, i && value < 10 ? "%.1f %s" : "%.0f %s", value, units[i]);
	return text;
}

static void write_head(struct sheet *sheet, const struct status *status)
{
	char words[STATUS_WORDS_MAX];
	char text[DURATION_MAX];
	char memory[AMOUNT_MAX];
	bool is_healthy = status_is_healthy(status->process, status->metrics, status->now, words);
	bool is_current = status->process->config_is_current;

	sheet_heading(sheet, "Doab " DOAB_VERSION);
	sheet_section(sheet, "Process");
	sheet_line(sheet, "health", is_healthy ? SHEET_GOOD : SHEET_BAD, NULL, "%s", words);
	sheet_line(sheet, "runs for", SHEET_PLAIN, NULL, "%s", duration(status->uptime_ms, text));
	sheet_line(sheet, "configuration", is_current ? SHEET_PLAIN : SHEET_BAD, NULL,
		   "number %u%s", status->process->config_generation,
		   is_current ? "" : "; the last reload found a mistake");
	sheet_line(sheet, "memory", SHEET_PLAIN, NULL, "%s",
		   amount((uint64_t)status->numbers.n_resident, memory));
	sheet_line(sheet, "descriptors", SHEET_PLAIN, NULL, "%lld of %lld",
		   (long long)status->numbers.n_descriptors,
		   (long long)status->numbers.n_descriptors_max);
	if (status->n_log_lost) {
		sheet_line(sheet, "log", SHEET_WARNING, NULL, "%llu lines lost",
			   (unsigned long long)status->n_log_lost);
	}
}

static void write_sessions(struct sheet *sheet, const struct status *status)
{
	int64_t buckets[METRICS_BUCKETS];
	char in[AMOUNT_MAX];
	char out[AMOUNT_MAX];

	sheet_section(sheet, "Sessions");
	for (unsigned i = METRICS_BOSH; i <= METRICS_WEBSOCKET; i++) {
		const struct metrics *metrics = status->metrics;

		sheet_line(sheet, metrics_transport_name((enum metrics_transport)i), SHEET_PLAIN,
			   NULL,
			   "%lld online, %lld ready, %lld connecting; %lld opened; %s in, %s out",
			   (long long)metrics_sum(metrics, METRIC_ONLINE_BOSH + i),
			   (long long)metrics_sum(metrics, METRIC_READY_BOSH + i),
			   (long long)metrics_sum(metrics, METRIC_CONNECTING_BOSH + i),
			   (long long)metrics_sum(metrics, METRIC_OPENED_BOSH + i),
			   amount((uint64_t)metrics_sum(metrics, METRIC_BYTES_IN_BOSH + i), in),
			   amount((uint64_t)metrics_sum(metrics, METRIC_BYTES_OUT_BOSH + i), out));
	}
	if (status_round_trips(status, buckets) == 0) {
		sheet_line(sheet, "round trip", SHEET_FAINT, NULL, "none in the last 5 minutes");
		return;
	}
	sheet_line(sheet, "round trip", SHEET_PLAIN, NULL,
		   "half within %.1f ms, 95 %% within %.1f ms (last 5 minutes)",
		   (double)metrics_quantile(buckets, 0.5) / 1e3,
		   (double)metrics_quantile(buckets, 0.95) / 1e3);
}

static void write_failures(struct sheet *sheet, const struct status *status)
{
	struct status_failure failures[FAILURE_COUNT];
	size_t n = status_failures(status, failures);

	sheet_section(sheet, "Failures of the last hour, and of all time");
	for (size_t i = 0; i < n; i++) {
		sheet_line(sheet, failure_name(failures[i].kind),
			   failures[i].n_hour ? SHEET_WARNING : SHEET_FAINT, NULL,
			   "%6lld %8lld  %s", (long long)failures[i].n_hour,
			   (long long)failures[i].n_total, failure_sentence(failures[i].kind));
	}
	if (n == 0) {
		sheet_paragraph(sheet, SHEET_FAINT, 2, "  none");
	}
}

static void write_lists(struct sheet *sheet, const struct status *status)
{
	if (status->n_top) {
		sheet_section(sheet, "Domains with the most sessions");
	}
	for (size_t i = 0; i < status->n_top; i++) {
		sheet_line(sheet, status->top[i].name, SHEET_PLAIN, NULL, "%zu",
			   status->top[i].n_sessions);
	}
	sheet_section(sheet, "Workers");
	for (unsigned i = 0; i < status->metrics->n_cells; i++) {
		const struct status_worker *worker = &status->workers[i];
		char name[AMOUNT_MAX];
		char load[AMOUNT_MAX] = "-";

		snprintf(name, sizeof(name), "%u", i);
		if (worker->load >= 0) {
			snprintf(load, sizeof(load), "%.0f %%", worker->load * SHARE_PERCENT);
		}
		sheet_line(sheet, name, SHEET_PLAIN, NULL,
			   "%lld sessions, %s of a core, %.1f ms late",
			   (long long)worker->n_sessions, load,
			   (double)metrics_read(&status->metrics->cells[i].lag_us) / 1e3);
	}
}

/* Moves what @sheet has written to the end of @buffer. */
static int finish(struct sheet *sheet, struct buffer *buffer)
{
	int r = sheet->r;

	if (r == 0) {
		r = buffer_append_sv(buffer, buffer_sv(&sheet->out));
	}
	sheet_deinit(sheet);
	return r;
}

int status_write_text(const struct status *status, bool is_coloured, struct buffer *buffer)
{
	/* There are no columns of times. */
	struct sheet sheet = {.is_coloured = is_coloured, .has_captions = true};

	write_head(&sheet, status);
	write_sessions(&sheet, status);
	write_failures(&sheet, status);
	write_lists(&sheet, status);
	return finish(&sheet, buffer);
}

int status_write_sessions_text(const struct session_list *list, struct buffer *buffer)
{
	struct writer writer = writer_begin(buffer);
	char client[ADDRESS_TEXT_MAX];
	char age[DURATION_MAX];
	char in[AMOUNT_MAX];
	char out[AMOUNT_MAX];

	writer_printf(&writer, "%-8s %-10s %-11s %-14s %9s %9s  %-24s %s\n", "SESSION", "TRANSPORT",
		      "STATE", "AGE", "IN", "OUT", "CLIENT", "DOMAIN");
	for (size_t i = 0; i < session_list_count(list); i++) {
		const struct session_row *row = session_list_row(list, i);

		/* A domain is in its ASCII form, an address and a name have no blanks. */
		writer_printf(&writer, "%-8s %-10s %-11s %-14s %9s %9s  %-24s %s\n", row->name,
			      metrics_transport_name(row->transport),
			      session_state_name(row->state), duration(row->age_ms, age),
			      amount(row->n_from_client, in), amount(row->n_to_client, out),
			      address_format_host(&row->client, client),
			      session_list_domain(list, row));
	}
	if (list->n_silent) {
		writer_printf(&writer, "%u workers did not answer: their sessions are missing.\n",
			      list->n_silent);
	}
	return writer_end(&writer);
}
