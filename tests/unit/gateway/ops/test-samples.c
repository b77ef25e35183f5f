/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/ops/samples.h"

static struct metrics *metrics;
static struct samples samples;

static int make(void **state)
{
	(void)state;
	memset(&samples, 0, sizeof(samples));
	return metrics_new(2, &metrics);
}

static int drop(void **state)
{
	(void)state;
	metrics = metrics_free(metrics);
	return 0;
}

static struct mono at(int64_t s)
{
	return (struct mono){s * 1000};
}

static void test_interval(void **state)
{
	(void)state;
	assert_true(samples_tick(&samples, metrics, at(100)));
	assert_false(samples_tick(&samples, metrics, at(100 + SAMPLES_INTERVAL_S - 1)));
	assert_true(samples_tick(&samples, metrics, at(100 + SAMPLES_INTERVAL_S)));
	assert_int_equal(samples.n, 2);
}

static void test_what_is_sampled(void **state)
{
	struct metrics_cell *cell = &metrics->cells[1];

	(void)state;
	metrics_add(cell, METRIC_CONNECTING_BOSH, 1);
	metrics_add(cell, METRIC_READY_BOSH, 2);
	metrics_add(&metrics->cells[0], METRIC_ONLINE_BOSH, 3);
	metrics_add(cell, METRIC_ONLINE_WEBSOCKET, 4);
	metrics_add(cell, METRIC_STANZAS_IN_BOSH, 5);
	metrics_add(cell, METRIC_STANZAS_OUT_WEBSOCKET, 6);
	metrics_fail(cell, METRICS_BOSH, FAILURE_DNS_FAILED);
	metrics_fail(cell, METRICS_HTTP, FAILURE_DNS_FAILED);
	metrics_observe(cell, METRIC_HISTOGRAM_ROUND_TRIP_BOSH, 700);
	metrics_observe(cell, METRIC_HISTOGRAM_ROUND_TRIP_WEBSOCKET, 700);
	assert_true(samples_tick(&samples, metrics, at(1)));
	const struct sample *sample = samples_at(&samples, 0);

	assert_int_equal(sample->sessions[METRICS_BOSH], 6);
	assert_int_equal(sample->sessions[METRICS_WEBSOCKET], 4);
	assert_int_equal(sample->n_stanzas, 11);
	assert_int_equal(sample->failures[FAILURE_DNS_FAILED], 2);
	assert_int_equal(sample->failures[FAILURE_DNS_TIMEOUT], 0);
	assert_int_equal(sample->round_trips[1], 2);
}

/* An hour is kept, with both of its ends; older samples go. */
static void test_hour(void **state)
{
	int64_t s = 0;

	(void)state;
	for (int i = 0; i < SAMPLES_MAX + 5; i++, s += SAMPLES_INTERVAL_S) {
		metrics_fail(&metrics->cells[0], METRICS_BOSH, FAILURE_CLIENT);
		assert_true(samples_tick(&samples, metrics, at(s)));
	}
	assert_int_equal(samples.n, SAMPLES_MAX);
	assert_int_equal(samples_at(&samples, 0)->at.ms, 5 * SAMPLES_INTERVAL_S * 1000);
	assert_int_equal(samples_at(&samples, 0)->failures[FAILURE_CLIENT], 6);
	struct mono last = samples_at(&samples, SAMPLES_MAX - 1)->at;

	assert_int_equal(mono_diff_ms(last, samples_at(&samples, 0)->at), 3600 * 1000);
	assert_ptr_equal(samples_since(&samples, last, 3600 * 1000), samples_at(&samples, 0));
	assert_ptr_equal(samples_since(&samples, last, 60 * 1000),
			 samples_at(&samples, SAMPLES_MAX - 1 - 60 / SAMPLES_INTERVAL_S));
}

/* Before the first sample everything was 0: what has been counted since the start counts. */
static void test_short_life(void **state)
{
	(void)state;
	assert_int_equal(samples_since(&samples, at(1), 3600 * 1000)->failures[FAILURE_CLIENT], 0);
	metrics_fail(&metrics->cells[0], METRICS_BOSH, FAILURE_CLIENT);
	assert_true(samples_tick(&samples, metrics, at(1)));
	assert_int_equal(samples_since(&samples, at(2), 3600 * 1000)->failures[FAILURE_CLIENT], 0);
	for (int i = 1; i < 10; i++) {
		assert_true(samples_tick(&samples, metrics, at(1 + i * SAMPLES_INTERVAL_S)));
	}
	/* But not if the samples reach back as far as is asked. */
	assert_int_equal(samples_since(&samples, at(91), 30 * 1000)->failures[FAILURE_CLIENT], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_interval, make, drop),
		cmocka_unit_test_setup_teardown(test_what_is_sampled, make, drop),
		cmocka_unit_test_setup_teardown(test_hour, make, drop),
		cmocka_unit_test_setup_teardown(test_short_life, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
