/* SPDX-License-Identifier: MIT */
#include "gateway/ops/metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"

const int64_t metrics_bounds[METRICS_BOUNDS] = {
	500,    1000,   2500,    5000,    10000,   25000,    50000,    100000,
	250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
};

static const char *const transport_names[] = {
#define X(id, name) [METRICS_##id] = name,
	METRICS_TRANSPORTS(X)
#undef X
};

static const char *const refusal_names[] = {
#define X(id, name) [METRIC_REFUSAL_##id] = name,
	METRICS_REFUSALS(X)
#undef X
};

int metrics_new(unsigned n_workers, struct metrics **ret_metrics)
{
	size_t n = sizeof(struct metrics) + n_workers * sizeof(struct metrics_cell);
	struct metrics *metrics = aligned_alloc(alignof(struct metrics_cell), n);

	if (!metrics) {
		return -ENOMEM;
	}
	memset(metrics, 0, n);
	metrics->n_cells = n_workers;
	*ret_metrics = metrics;
	return 0;
}

struct metrics *metrics_free(struct metrics *metrics)
{
	free(metrics);
	return NULL;
}

void metrics_observe(struct metrics_cell *cell, enum metrics_histogram_id histogram, int64_t us)
{
	struct metrics_histogram *to = &cell->histograms[histogram];
	size_t i = 0;

	while (i < METRICS_BOUNDS && us > metrics_bounds[i]) {
		i++;
	}
	metrics_bump(&to->buckets[i], 1);
	metrics_bump(&to->sum_us, us);
}

const char *metrics_transport_name(enum metrics_transport transport)
{
	return transport_names[transport];
}

const char *metrics_refusal_name(enum metrics_refusal refusal)
{
	return refusal_names[refusal];
}

/* Sums a number of all cells; @number is that of the first one. */
static int64_t sum(const struct metrics *metrics, const _Atomic int64_t *number)
{
	size_t offset = (size_t)((const char *)number - (const char *)metrics->cells);
	int64_t total = 0;

	for (unsigned i = 0; i < metrics->n_cells; i++) {
		const char *cell = (const char *)&metrics->cells[i];

		total += metrics_read((const _Atomic int64_t *)(const void *)(cell + offset));
	}
	return total;
}

int64_t metrics_sum(const struct metrics *metrics, enum metrics_value value)
{
	return sum(metrics, &metrics->cells->values[value]);
}

int64_t metrics_sum_failures(const struct metrics *metrics, enum metrics_transport transport,
			     enum failure_kind kind)
{
	return sum(metrics, &metrics->cells->failures[transport][kind]);
}

int64_t metrics_sum_refusals(const struct metrics *metrics, enum metrics_refusal refusal)
{
	return sum(metrics, &metrics->cells->refusals[refusal]);
}

int64_t metrics_sum_us(const struct metrics *metrics, enum metrics_histogram_id histogram)
{
	return sum(metrics, &metrics->cells->histograms[histogram].sum_us);
}

void metrics_sum_buckets(const struct metrics *metrics, enum metrics_histogram_id histogram,
			 int64_t sums[static METRICS_BUCKETS])
{
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		sums[i] += sum(metrics, &metrics->cells->histograms[histogram].buckets[i]);
	}
}

int64_t metrics_quantile(const int64_t buckets[static METRICS_BUCKETS], double share)
{
	int64_t n = 0;
	int64_t before = 0;

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		n += buckets[i];
	}
	double rank = share * (double)n;

	for (size_t i = 0; n && i < METRICS_BOUNDS; i++) {
		if (buckets[i] && (double)(before + buckets[i]) >= rank) {
			int64_t low = i ? metrics_bounds[i - 1] : 0;
			double part = (rank - (double)before) / (double)buckets[i];

			return low + (int64_t)((double)(metrics_bounds[i] - low) * part);
		}
		before += buckets[i];
	}
	return n ? metrics_bounds[METRICS_BOUNDS - 1] : 0;
}

void metrics_log_failures(const struct metrics *metrics)
{
	struct log_field fields[FAILURE_COUNT];
	size_t n = 0;

	for (unsigned kind = FAILURE_NONE + 1; kind < FAILURE_COUNT; kind++) {
		int64_t count = 0;

		for (unsigned transport = 0; transport < METRICS_TRANSPORT_COUNT; transport++) {
			count += metrics_sum_failures(metrics, (enum metrics_transport)transport,
						      (enum failure_kind)kind);
		}
		if (count) {
			fields[n++] = LOG_NUMBER(failure_name((enum failure_kind)kind), count);
		}
	}
	log_event(LOG_LEVEL_INFO, "failures", fields, n);
}
