/* SPDX-License-Identifier: MIT */
/* The ranges of numbers and lists, and the least budgets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config/config.h"
#include "tests/unit/gateway/config/config-case.h"

/* Limits that would let no body in are raised. */
static void test_least_budget(void **state)
{
	struct {
		const char *text;
		size_t n_client, n_total;
	} rows[] = {
		{"limits { body_bytes = 10000\nlogin_bytes_per_address = 79999 }\n", 80000,
		 67108864},
		{"limits { body_bytes = 10000\nlogin_bytes_per_address = 80000 }\n", 80000,
		 67108864},
		{"limits { body_bytes = 10000\nlogin_bytes_per_address = 80001 }\n", 80001,
		 67108864},
		{"limits { login_bytes_per_address = 3000000\nlogin_bytes = 2999999 }\n", 3000000,
		 3000000},
		{"limits { body_bytes = 16777216 }\n", 134217728, 134217728},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct config *config = made(rows[i].text);

		assert_int_equal(config->budget.n_client, rows[i].n_client);
		assert_int_equal(config->budget.n_total, rows[i].n_total);
		config_unref(config);
	}
}

/* Likewise for the largest stanza. */
static void test_least_foreign_budget(void **state)
{
	struct {
		const char *text;
		size_t n_client, n_total;
	} rows[] = {
		{"limits { stanza_bytes = 20000\nforeign_bytes_per_address = 79999 }\n", 80000,
		 268435456},
		{"limits { stanza_bytes = 20000\nforeign_bytes_per_address = 80001 }\n", 80001,
		 268435456},
		{"limits { foreign_bytes_per_address = 5000000\nforeign_bytes = 4999999 }\n",
		 5000000, 5000000},
		{"limits { stanza_bytes = 67108864 }\n", 268435456, 268435456},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct config *config = made(rows[i].text);

		assert_int_equal(config->foreign_budget.n_client, rows[i].n_client);
		assert_int_equal(config->foreign_budget.n_total, rows[i].n_total);
		config_unref(config);
	}
}

/* For each number, the ends of its range are accepted and the values next to them refused. */
static void test_ranges(void **state)
{
	static const struct {
		const char *key;
		long min;
		long max;
		bool is_limit;
	} rows[] = {
		{"workers", 0, 256, false},
		{"body_bytes", 10000, 16777216, true},
		{"stanza_bytes", 10000, 67108864, true},
		{"pending_bytes", 4096, 67108864, true},
		{"wait", 0, 600, false},
		{"hold", 1, 10, false},
		{"inactivity", 5, 3600, false},
		{"polling", 0, 60, false},
		{"ping_interval", 0, 3600, false},
		{"login_message_bytes", 4096, 16777216, false},
		{"header_timeout", 1, 120, true},
		{"dns_timeout", 50, 30000, false},
		{"dns_tries", 1, 10, false},
		{"connect_timeout", 1, 120, false},
		{"open_timeout", 1, 600, false},
		{"keepalive", 0, 3600, false},
		{"max_sessions", 1, 1000000, true},
		{"sessions_per_address", 1, 1000000, true},
		{"connections_per_address", 1, 1000000, true},
		{"login_bytes_per_address", 65536, 2097152000, true},
		{"login_bytes", 65536, 2097152000, true},
		{"foreign_bytes_per_address", 65536, 2097152000, true},
		{"foreign_bytes", 65536, 2097152000, true},
		{"max_connections", 0, 1000000, true},
		{"login_timeout", 0, 3600, true},
	};
	char text[128];
	char what[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		const long bad[] = {rows[i].min - 1, rows[i].max + 1};
		/* polling must stay below inactivity. */
		const char *more = strcmp(rows[i].key, "polling") == 0 ? "inactivity = 61\n"
				 : rows[i].is_limit                    ? "limits {\n"
								       : "";
		const char *end = rows[i].is_limit ? "}" : "";

		snprintf(text, sizeof(text), "%s%s = %ld%s\n", more, rows[i].key, rows[i].min, end);
		config_unref(made(text));
		snprintf(text, sizeof(text), "%s%s = %ld%s\n", more, rows[i].key, rows[i].max, end);
		config_unref(made(text));
		for (size_t j = 0; j < ARRAY_LENGTH(bad); j++) {
			snprintf(text, sizeof(text), "%s\n%s = %ld%s\n",
				 rows[i].is_limit ? "limits {" : "", rows[i].key, bad[j], end);
			snprintf(what, sizeof(what),
				 "%s: expected a number from %ld to %ld, got %ld\n", rows[i].key,
				 rows[i].min, rows[i].max, bad[j]);
			refused(text, 2, what);
		}
	}
}

static void check_list_limit(const char *before, const char *item, unsigned max, const char *after)
{
	char *text = NULL;
	size_t n;

	for (unsigned extra = 0; extra <= 3; extra += 3) {
		FILE *stream = open_memstream(&text, &n);

		assert_non_null(stream);
		fputs(before, stream);
		for (unsigned i = 0; i < max + extra; i++) {
			fprintf(stream, item, i / 250, i % 250 + 1);
		}
		fprintf(stream, "}%s", after);
		fclose(stream);
		if (extra) {
			char what[64];

			snprintf(what, sizeof(what), ": expected at most %u entries\n", max);
			assert_int_equal(read_text(text, &(struct config *){NULL}), -EINVAL);
			assert_non_null(strstr(errors_text, what));
			/* Reported once, not for each entry too many. */
			assert_int_equal(strchr(errors_text, '\n') - errors_text, errors_n - 1);
		} else {
			config_unref(made(text));
		}
		free(text);
		text = NULL;
	}
}

static void test_list_limits(void **state)
{
	char path[200] = "/";
	char text[256];

	(void)state;
	check_list_limit("listen = {", "\"127.1.%u.%u:1\",", 64, "");
	check_list_limit("resolvers = {", "\"127.1.%u.%u\",", 8, "");
	check_list_limit("trusted_proxies = {", "\"127.1.%u.%u\",", 1024, "");
	check_list_limit("allow_origins = {", "\"https://a%u.b%u\",", 1024, "");
	check_list_limit("allowed_ports = {", "\"1%u%u\",", 256, "");
	check_list_limit("domain a.example { connect = {", "\"127.1.%u.%u\",", DOMAIN_CONNECT_MAX,
			 " }");

	/* A key has no room for the two numbers. */
	check_list_limit("domain a.example { pin = {",
			 "\"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" /* %u %u */,",
			 DOMAIN_PINS_MAX, " }");

	memset(path + 1, 'a', 127);
	snprintf(text, sizeof(text), "bosh_path = %s\n", path);
	config_unref(made(text));
	path[128] = 'a';
	snprintf(text, sizeof(text), "bosh_path = %s\n", path);
	refused(text, 1, "bosh_path: expected a path of");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least_budget),
		cmocka_unit_test(test_least_foreign_budget),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_list_limits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
