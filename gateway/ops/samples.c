/* SPDX-License-Identifier: MIT */
#include "gateway/ops/samples.h"

#include <assert.h>

static int64_t count_sessions(const struct metrics *metrics, enum metrics_transport transport)
{
	return metrics_sum(metrics, METRIC_CONNECTING_BOSH + transport) +
	       metrics_sum(metrics, METRIC_READY_BOSH + transport) +
	       metrics_sum(metrics, METRIC_ONLINE_BOSH + transport);
}

void sample_take(struct sample *sample, const struct metrics *metrics, struct mono now)
{
	*sample = (struct sample){.at = now};
	for (unsigned transport = 0; transport < METRICS_TRANSPORT_COUNT; transport++) {
		for (unsigned kind = 0; kind < FAILURE_COUNT; kind++) {
			sample->failures[kind] +=
				metrics_sum_failures(metrics, (enum metrics_transport)transport,
						     (enum failure_kind)kind);
		}
	}
	for (unsigned transport = METRICS_BOSH; transport <= METRICS_WEBSOCKET; transport++) {
		sample->sessions[transport] =
			count_sessions(metrics, (enum metrics_transport)transport);
		sample->n_stanzas += metrics_sum(metrics, METRIC_STANZAS_IN_BOSH + transport) +
				     metrics_sum(metrics, METRIC_STANZAS_OUT_BOSH + transport);
		metrics_sum_buckets(metrics, METRIC_HISTOGRAM_ROUND_TRIP_BOSH + transport,
				    sample->round_trips);
	}
}

const struct sample *samples_at(const struct samples *samples, size_t index)
{
	assert(index < samples->n);
	return &samples->ring[(samples->first + index) % SAMPLES_MAX];
}

bool samples_tick(struct samples *samples, const struct metrics *metrics, struct mono now)
{
	if (samples->n) {
		struct mono last = samples_at(samples, samples->n - 1)->at;

		if (!mono_reached(mono_add_s(last, SAMPLES_INTERVAL_S), now)) {
			return false;
		}
	}
	if (samples->n == SAMPLES_MAX) {
		samples->first = (samples->first + 1) % SAMPLES_MAX;
		samples->n--;
	}
	samples->n++;
	sample_take(&samples->ring[(samples->first + samples->n - 1) % SAMPLES_MAX], metrics, now);
	return true;
}

const struct sample *samples_since(const struct samples *samples, struct mono now, int64_t age_ms)
{
	static const struct sample zeros;

	for (size_t i = 0; i < samples->n; i++) {
		const struct sample *sample = samples_at(samples, i);

		if (mono_diff_ms(now, sample->at) <= age_ms) {
			return i == 0 && samples->n < SAMPLES_MAX ? &zeros : sample;
		}
	}
	return &zeros;
}
