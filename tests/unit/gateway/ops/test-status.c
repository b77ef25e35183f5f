/* SPDX-License-Identifier: MIT */
/* What the admin listener tells, and its forms; tests/conformance/admin.test.mjs has it as it is
 * asked for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/ops/exposition.h"
#include "tests/unit/failmalloc.h"

static struct metrics *metrics;
static struct samples samples;
static struct process_state process;
static struct status_worker workers[2];
static struct config config;
static struct status status;
static struct session_list list;

static int make(void **state)
{
	(void)state;
	memset(&samples, 0, sizeof(samples));
	process = (struct process_state){.config_generation = 3, .config_is_current = true};
	list = (struct session_list){0};
	config = (struct config){.limits.sessions = 1000};
	if (metrics_new(2, &metrics) < 0) {
		return -1;
	}
	metrics->cells[0].beat_ms = metrics->cells[1].beat_ms = 1000000;
	workers[0].load = 0.5;
	workers[1].load = -1;
	status = (struct status){
		.now = {1000000},
		.config = &config,
		.process = &process,
		.metrics = metrics,
		.samples = &samples,
		.workers = workers,
	};
	return 0;
}

static int drop(void **state)
{
	(void)state;
	metrics = metrics_free(metrics);
	session_list_deinit(&list);
	free(config.domains.rules);
	return 0;
}

static void add_session(const char *domain)
{
	struct session_row row = {.name = "abc", .domain_at = list.texts.n};

	assert_int_equal(address_parse(SV("192.0.2.1"), 1, &row.client), 0);
	assert_int_equal(buffer_append(&list.texts, domain, strlen(domain) + 1), 0);
	assert_int_equal(buffer_append(&list.rows, &row, sizeof(row)), 0);
}

static void add_sessions(const char *domain, int n)
{
	for (int i = 0; i < n; i++) {
		add_session(domain);
	}
}

static void test_health(void **state)
{
	char words[STATUS_WORDS_MAX];

	(void)state;
	assert_true(status_is_healthy(&process, metrics, status.now, words));
	/* As long as allowed, and a millisecond longer. */
	metrics->cells[1].beat_ms = status.now.ms - STATUS_HANG_MS;
	assert_true(status_is_healthy(&process, metrics, status.now, words));
	metrics->cells[1].beat_ms--;
	assert_false(status_is_healthy(&process, metrics, status.now, words));
	assert_string_equal(words, "worker 1 has not answered for 5 seconds");
	metrics->cells[1].beat_ms = 0;
	assert_false(status_is_healthy(&process, metrics, status.now, words));
	assert_string_equal(words, "worker 1 does not run");
	metrics->cells[1].beat_ms = status.now.ms;
	process.is_draining = true;
	process.successor = 0;
	assert_true(status_is_healthy(&process, metrics, status.now, words));
	process.successor = -1;
	assert_false(status_is_healthy(&process, metrics, status.now, words));
	assert_string_equal(words, "draining: no new sessions are opened");
}

static void test_top_domains(void **state)
{
	char name[32];

	(void)state;
	assert_int_equal(status_count_domains(&status, &list), 0);
	assert_int_equal(status.n_top, 0);
	for (int i = 0; i < STATUS_DOMAINS_MAX + 3; i++) {
		snprintf(name, sizeof(name), "d%02d.test", i);
		add_sessions(name, 1 + i * 7 % 13);
	}
	assert_int_equal(status_count_domains(&status, &list), 0);
	assert_int_equal(status.n_top, STATUS_DOMAINS_MAX);
	for (size_t i = 0; i < status.n_top; i++) {
		/* 13 domains have 1 to 13 sessions each, in another order. */
		assert_int_equal(status.top[i].n_sessions, 13 - i);
	}
	assert_string_equal(status.top[0].name, "d11.test");
}

/* Sessions count to the rule that applies to them; no name of a client makes a series. */
static void test_configured_domains(void **state)
{
	static const struct domain_rule rules[] = {
		{.name = "a.test"},
		{.name = "test", .is_pattern = true},
		{.name = "", .is_pattern = true},
	};
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;

	(void)state;
	config.domains.n_rules = ARRAY_LENGTH(rules);
	config.domains.rules = malloc(sizeof(rules));
	memcpy(config.domains.rules, rules, sizeof(rules));
	domain_rules_sort(&config.domains);
	add_sessions("a.test", 2);
	add_sessions("b.test", 3);
	add_sessions("evil.example", 4);
	assert_int_equal(status_count_domains(&status, &list), 0);
	assert_int_equal(exposition_write(&status, &text), 0);
	assert_int_equal(buffer_append(&text, "", 1), 0);
	const char *written = buffer_sv(&text).data;

	assert_non_null(strstr(written, "\ndoab_domain_sessions{domain=\"a.test\"} 2\n"));
	assert_non_null(strstr(written, "\ndoab_domain_sessions{domain=\"*.test\"} 3\n"));
	assert_non_null(strstr(written, "\ndoab_domain_sessions{domain=\"*\"} 4\n"));
	assert_null(strstr(written, "evil"));
	assert_null(strstr(written, "b.test"));
	config.domains.n_rules = 0;
}

static void test_held_bytes(void **state)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;

	(void)state;
	status.n_login_bytes = 4096;
	status.n_foreign_bytes = 8192;
	assert_int_equal(exposition_write(&status, &text), 0);
	assert_int_equal(buffer_append(&text, "", 1), 0);
	const char *written = buffer_sv(&text).data;

	assert_non_null(strstr(written, "# TYPE doab_held_bytes gauge\n"
					"doab_held_bytes{limit=\"login_bytes\"} 4096\n"
					"doab_held_bytes{limit=\"foreign_bytes\"} 8192\n"));
}

/* No more than STATUS_CONFIGURED_MAX series, however long the file is. */
static void test_many_sections(void **state)
{
	const size_t n = STATUS_CONFIGURED_MAX + 1;

	(void)state;
	config.domains.rules = calloc(n, sizeof(struct domain_rule));
	for (size_t i = 0; i < n; i++) {
		snprintf(config.domains.rules[i].name, sizeof(config.domains.rules[i].name),
			 "d%04zu.test", i);
	}
	config.domains.n_rules = n - 1;
	domain_rules_sort(&config.domains);
	assert_int_equal(status_count_domains(&status, &list), 0);
	assert_int_equal(status.n_configured, STATUS_CONFIGURED_MAX);
	config.domains.n_rules = n;
	domain_rules_sort(&config.domains);
	assert_int_equal(status_count_domains(&status, &list), 0);
	assert_int_equal(status.n_configured, STATUS_CONFIGURED_MAX);
}

static void test_failures(void **state)
{
	struct status_failure failures[FAILURE_COUNT];

	(void)state;
	metrics_fail(&metrics->cells[0], METRICS_BOSH, FAILURE_DNS_FAILED);
	assert_true(samples_tick(&samples, metrics, (struct mono){1000}));
	for (int i = 1; i < SAMPLES_MAX; i++) {
		assert_true(samples_tick(&samples, metrics,
					 (struct mono){1000 + i * SAMPLES_INTERVAL_S * 1000}));
	}
	status.now = samples_at(&samples, SAMPLES_MAX - 1)->at;
	metrics_fail(&metrics->cells[1], METRICS_HTTP, FAILURE_CLIENT);
	metrics_fail(&metrics->cells[1], METRICS_WEBSOCKET, FAILURE_TOO_MANY);
	metrics_fail(&metrics->cells[1], METRICS_WEBSOCKET, FAILURE_TOO_MANY);
	assert_int_equal(status_failures(&status, failures), 3);
	assert_int_equal(failures[0].kind, FAILURE_TOO_MANY);
	assert_int_equal(failures[0].n_hour, 2);
	assert_int_equal(failures[1].kind, FAILURE_CLIENT);
	assert_int_equal(failures[2].kind, FAILURE_DNS_FAILED);
	assert_int_equal(failures[2].n_hour, 0);
	assert_int_equal(failures[2].n_total, 1);
}

/* The buckets of a histogram are sums of the shorter ones, and the last one is the count. */
static void test_histogram(void **state)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;

	(void)state;
	metrics_observe(&metrics->cells[0], METRIC_HISTOGRAM_DNS, 400);
	metrics_observe(&metrics->cells[1], METRIC_HISTOGRAM_DNS, 2000);
	metrics_observe(&metrics->cells[1], METRIC_HISTOGRAM_DNS, 60000000);
	assert_int_equal(exposition_write(&status, &text), 0);
	assert_int_equal(buffer_append(&text, "", 1), 0);
	const char *written = buffer_sv(&text).data;

	assert_non_null(strstr(written, "# TYPE doab_dns_seconds histogram\n"
					"doab_dns_seconds_bucket{le=\"0.0005\"} 1\n"
					"doab_dns_seconds_bucket{le=\"0.001\"} 1\n"
					"doab_dns_seconds_bucket{le=\"0.0025\"} 2\n"));
	assert_non_null(strstr(written, "doab_dns_seconds_bucket{le=\"30\"} 2\n"
					"doab_dns_seconds_bucket{le=\"+Inf\"} 3\n"
					"doab_dns_seconds_sum 60.0024\n"
					"doab_dns_seconds_count 3\n"));
}

static int write_all(void *userdata)
{
	_cleanup_(buffer_deinit) struct buffer buffer = BUFFER_INIT;
	int r = status_count_domains(&status, &list);

	(void)userdata;
	if (r == 0) {
		r = exposition_write(&status, &buffer);
	}
	if (r == 0) {
		r = status_write_json(&status, &buffer);
	}
	if (r == 0) {
		r = status_write_text(&status, false, &buffer);
	}
	if (r == 0) {
		r = status_write_sessions_json(&list, &buffer);
	}
	return r < 0 ? r : status_write_sessions_text(&list, &buffer);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	add_sessions("a.test", 3);
	failmalloc_each(write_all, NULL, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_health, make, drop),
		cmocka_unit_test_setup_teardown(test_top_domains, make, drop),
		cmocka_unit_test_setup_teardown(test_configured_domains, make, drop),
		cmocka_unit_test_setup_teardown(test_held_bytes, make, drop),
		cmocka_unit_test_setup_teardown(test_many_sections, make, drop),
		cmocka_unit_test_setup_teardown(test_failures, make, drop),
		cmocka_unit_test_setup_teardown(test_histogram, make, drop),
		cmocka_unit_test_setup_teardown(test_out_of_memory, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
