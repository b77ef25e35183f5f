/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/ops/metrics.h"

static struct metrics *metrics;

static int make(void **state)
{
	(void)state;
	return metrics_new(2, &metrics);
}

static int drop(void **state)
{
	(void)state;
	metrics = metrics_free(metrics);
	return 0;
}

static void test_values(void **state)
{
	(void)state;
	assert_int_equal(metrics_sum(metrics, METRIC_CONNECTIONS), 0);
	metrics_add(&metrics->cells[0], METRIC_CONNECTIONS, 3);
	metrics_add(&metrics->cells[1], METRIC_CONNECTIONS, 4);
	/* What one worker opened may be closed by another. */
	metrics_add(&metrics->cells[1], METRIC_CONNECTIONS, -6);
	assert_int_equal(metrics_sum(metrics, METRIC_CONNECTIONS), 1);
	assert_int_equal(metrics_sum(metrics, METRIC_OPENED_BOSH), 0);
	/* That of WebSocket follows that of BOSH. */
	assert_int_equal(METRIC_OPENED_BOSH + METRICS_WEBSOCKET, METRIC_OPENED_WEBSOCKET);
	assert_int_equal(METRIC_STANZAS_OUT_BOSH + METRICS_WEBSOCKET, METRIC_STANZAS_OUT_WEBSOCKET);
	assert_int_equal(METRIC_ONLINE_BOSH + METRICS_WEBSOCKET, METRIC_ONLINE_WEBSOCKET);
}

static void test_failures_and_refusals(void **state)
{
	(void)state;
	metrics_fail(&metrics->cells[0], METRICS_BOSH, FAILURE_DNS_TIMEOUT);
	metrics_fail(&metrics->cells[1], METRICS_BOSH, FAILURE_DNS_TIMEOUT);
	metrics_fail(&metrics->cells[1], METRICS_WEBSOCKET, FAILURE_DNS_TIMEOUT);
	assert_int_equal(metrics_sum_failures(metrics, METRICS_BOSH, FAILURE_DNS_TIMEOUT), 2);
	assert_int_equal(metrics_sum_failures(metrics, METRICS_WEBSOCKET, FAILURE_DNS_TIMEOUT), 1);
	assert_int_equal(metrics_sum_failures(metrics, METRICS_HTTP, FAILURE_DNS_TIMEOUT), 0);
	metrics_refuse(&metrics->cells[1], METRIC_REFUSAL_MAX_SESSIONS);
	assert_int_equal(metrics_sum_refusals(metrics, METRIC_REFUSAL_MAX_SESSIONS), 1);
	assert_string_equal(metrics_refusal_name(METRIC_REFUSAL_MAX_SESSIONS), "max_sessions");
	assert_string_equal(metrics_transport_name(METRICS_WEBSOCKET), "websocket");
}

/* A duration that is as long as a bound belongs to its bucket. */
static void test_buckets(void **state)
{
	const enum metrics_histogram_id id = METRIC_HISTOGRAM_DNS;
	int64_t buckets[METRICS_BUCKETS] = {0};
	int64_t sum = 0;

	(void)state;
	for (size_t i = 0; i < METRICS_BOUNDS; i++) {
		assert_true(i == 0 || metrics_bounds[i] > metrics_bounds[i - 1]);
		metrics_observe(&metrics->cells[i % 2], id, metrics_bounds[i]);
		metrics_observe(&metrics->cells[0], id, metrics_bounds[i] + 1);
		sum += 2 * metrics_bounds[i] + 1;
	}
	metrics_sum_buckets(metrics, id, buckets);
	assert_int_equal(buckets[0], 1);
	for (size_t i = 1; i < METRICS_BOUNDS; i++) {
		assert_int_equal(buckets[i], 2);
	}
	assert_int_equal(buckets[METRICS_BOUNDS], 1);
	assert_int_equal(metrics_sum_us(metrics, id), sum);
}

static void test_quantiles(void **state)
{
	int64_t buckets[METRICS_BUCKETS] = {0};

	(void)state;
	assert_int_equal(metrics_quantile(buckets, 0.5), 0);
	buckets[2] = 100; /* over 1000, to 2500 us */
	assert_int_equal(metrics_quantile(buckets, 0.5), 1750);
	assert_int_equal(metrics_quantile(buckets, 1), 2500);
	buckets[0] = 100; /* to 500 us */
	assert_int_equal(metrics_quantile(buckets, 0.25), 250);
	assert_int_equal(metrics_quantile(buckets, 0.5), 500);
	assert_int_equal(metrics_quantile(buckets, 0.75), 1750);
	/* Longer than all bounds: no more is known. */
	buckets[METRICS_BOUNDS] = 1000000;
	assert_int_equal(metrics_quantile(buckets, 0.99), metrics_bounds[METRICS_BOUNDS - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, make, drop),
		cmocka_unit_test_setup_teardown(test_failures_and_refusals, make, drop),
		cmocka_unit_test_setup_teardown(test_buckets, make, drop),
		cmocka_unit_test(test_quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
