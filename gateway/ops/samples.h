/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the metrics were during the last hour: for the status page's curves, and for "of the last
 * hour". No I/O: the caller passes the time.
 *
 * sample  the numbers at one time; one is taken every SAMPLES_INTERVAL_S
 */
#include "common/mono.h"
#include "gateway/ops/metrics.h"

enum {
	SAMPLES_INTERVAL_S = 10,
	SAMPLES_MAX = 3600 / SAMPLES_INTERVAL_S + 1, /* both ends of an hour */
};

struct sample {
	struct mono at;
	int64_t sessions[2]; /* by transport */
	int64_t n_stanzas;   /* since the start, as all that follow; in both directions */
	int64_t round_trips[METRICS_BUCKETS];
	int64_t failures[FAILURE_COUNT];
};

struct samples {
	struct sample ring[SAMPLES_MAX];
	size_t first, n;
};

/* Reads the metrics. */
void sample_take(struct sample *sample, const struct metrics *metrics, struct mono now);

/* Takes a sample if it is time for one. Returns whether one was taken. */
bool samples_tick(struct samples *samples, const struct metrics *metrics, struct mono now);

/* The sample number @index of samples->n, the oldest first. */
const struct sample *samples_at(const struct samples *samples, size_t index);

/* The oldest sample that is no older than @age_ms at @now, or a sample of zeros, as at the start of
 * the program, if the samples do not reach back so far. */
const struct sample *samples_since(const struct samples *samples, struct mono now, int64_t age_ms);
