/* SPDX-License-Identifier: MIT */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "gateway/config/config.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/config/config-case.h"

static void check_defaults(const struct config *config)
{
	cpu_set_t set;

	assert_true(config->listens_by_default);
	assert_int_equal(config->listen.n, 2);
	check_address(&config->listen.list[0], "127.0.0.1:5280");
	check_address(&config->listen.list[1], "[::1]:5280");
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	assert_int_equal(config->n_workers, CPU_COUNT(&set));
	assert_string_equal(config->bosh_path, "/http-bind");
	assert_string_equal(config->websocket_path, "/xmpp-websocket");
	assert_int_equal(config->log_level, LOG_LEVEL_INFO);
	for (int i = 0; i < LOG_AREA_COUNT; i++) {
		assert_int_equal(config->log_levels[i], LOG_LEVEL_INFO);
	}
	assert_int_equal(config->log_format, LOG_FORMAT_LOGFMT);
	assert_int_equal(config->log_place, LOG_PLACE_STDERR);
	assert_true(config->origins.allows_any);
	assert_int_equal(config->proxies.n, 0);
	assert_string_equal(config->admin, "");
	assert_null(config->resolvers);
	assert_false(config->coding);
	assert_false(ports_allow(&config->ports, 442));
	assert_true(ports_allow(&config->ports, 443));
	assert_false(ports_allow(&config->ports, 444));
	assert_false(ports_allow(&config->ports, 1023));
	assert_true(ports_allow(&config->ports, 1024));
	assert_true(ports_allow(&config->ports, 65535));
	assert_int_equal(config->n_body_max, 262144);
	assert_int_equal(config->n_stanza_max, 1048576);
	assert_int_equal(config->n_pending_max, 524288);
	assert_int_equal(config->wait_s, 60);
	assert_int_equal(config->hold, 1);
	assert_int_equal(config->inactivity_s, 60);
	assert_int_equal(config->polling_s, 2);
	assert_int_equal(config->ping_interval_s, 50);
	assert_int_equal(config->n_login_message_max, 8192);
	assert_string_equal(config->websocket_see_other_uri, "");
	assert_false(config->websocket_coding);
	assert_int_equal(config->header_timeout_s, 15);
	assert_int_equal(config->dns_timeout_ms, 1500);
	assert_int_equal(config->n_dns_tries, 3);
	assert_int_equal(config->connect_timeout_s, 8);
	assert_int_equal(config->open_timeout_s, 30);
	assert_int_equal(config->keepalive_s, 300);
	assert_int_equal(config->limits.sessions, 20000);
	assert_int_equal(config->limits.sessions_per_client, 200);
	assert_int_equal(config->limits.connections_per_client, 500);
	assert_int_equal(config->budget.n_client, 16 * 1024 * 1024);
	assert_int_equal(config->budget.n_total, 64 * 1024 * 1024);
	assert_int_equal(config->budget.order, BUDGET_OLDEST);
	assert_int_equal(config->foreign_budget.n_client, 32 * 1024 * 1024);
	assert_int_equal(config->foreign_budget.n_total, 256 * 1024 * 1024);
	assert_int_equal(config->foreign_budget.order, BUDGET_LARGEST);
	assert_int_equal(config->domains.n_rules, 0);
}

static void test_defaults(void **state)
{
	struct config *config = NULL;

	(void)state;
	assert_int_equal(read_path(NULL, &config), 0);
	assert_string_equal(errors_text, "");
	check_defaults(config);
	assert_null(config_unref(config));
	assert_null(config_unref(NULL));

	config = made("");
	check_defaults(config);
	config_unref(config);
	config = made("# nothing\n/* at\nall */\n");
	check_defaults(config);
	config_unref(config);
}

static void test_web(void **state)
{
	struct config *config = made("own_hosts = {\"*.Own.example\", \"gateway\"}\n"
				     "require_origin = true\nallow_credentials = true\n"
				     "allow_private_network = true\n"
				     "public_bosh_url = \"https://a.example/b\"\n"
				     "public_websocket_url = \"wss://a.example/w\"\n");

	(void)state;
	assert_int_equal(config->web.own_hosts.n_patterns, 2);
	assert_string_equal(config->web.own_hosts.patterns[0].name, "own.example");
	assert_true(config->web.requires_origin);
	assert_true(config->web.allows_credentials);
	assert_true(config->web.allows_private_network);
	assert_string_equal(config->web.bosh_url, "https://a.example/b");
	assert_string_equal(config->web.websocket_url, "wss://a.example/w");
	assert_null(config->web.crossdomain);
	config_unref(config);
	config = made("");
	assert_int_equal(config->web.own_hosts.n_patterns, 0);
	assert_false(config->web.requires_origin);
	assert_false(config->web.allows_credentials);
	assert_false(config->web.allows_private_network);
	assert_string_equal(config->web.bosh_url, "");
	config_unref(config);
}

static const char every_key[] =
	"listen = {\"0.0.0.0:80\", # all of IPv4\n"
	"  '[::]:8080', 192.0.2.1, \"[2001:db8::1]\"}\n"
	"workers = 3\n"
	"bosh_path = \"/a/b-c_d.e~f/\"\n"
	"websocket_path = /ws\n"
	"log_level = debug\nlog_levels = {\"dns=error\", \"bosh=info\", \"dns=warning\"}\n"
	"log_to = \"syslog:/run/log\"\nlog_format = json\n"
	"allow_origins = {\"https://chat.example.org:443\", \"http://b:81\"}\n"
	"trusted_proxies = {\"10.0.0.0/8\", \"::1\"}\n"
	"resolvers = {\"127.0.0.1:5300\", \"[::1]\"}\n"
	"compression = true\n"
	"allowed_ports = {\"25\", \"70-71\"}\n"
	"limits { body_bytes = 10001\nstanza_bytes = 10002\npending_bytes = 10003\n"
	"header_timeout = 16\n"
	"max_sessions = 19\nsessions_per_address = 20\n"
	"connections_per_address = 21\n"
	"login_bytes_per_address = 100001\nlogin_bytes = 100002\n"
	"foreign_bytes_per_address = 100003\nforeign_bytes = 100004 }\n"
	"wait = 11\nhold = 3\ninactivity = 13\npolling = 4\nping_interval = 15\n"
	"login_message_bytes = 4097\n"
	"websocket_see_other_uri = \"wss://a.example/ws\"\n"
	"websocket_compression = true\n"
	"dns_timeout = 1600\ndns_tries = 4\n"
	"connect_timeout = 17\nopen_timeout = 18\n"
	"keepalive = 22\n";

static void test_every_key(void **state)
{
	struct config *config = made(every_key);

	(void)state;
	assert_false(config->listens_by_default);
	assert_int_equal(config->listen.n, 4);
	check_address(&config->listen.list[0], "0.0.0.0:80");
	check_address(&config->listen.list[1], "[::]:8080");
	check_address(&config->listen.list[2], "192.0.2.1:5280");
	check_address(&config->listen.list[3], "[2001:db8::1]:5280");
	assert_int_equal(config->n_workers, 3);
	assert_string_equal(config->bosh_path, "/a/b-c_d.e~f/");
	assert_string_equal(config->websocket_path, "/ws");
	assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->log_levels[LOG_AREA_DNS], LOG_LEVEL_WARNING);
	assert_int_equal(config->log_levels[LOG_AREA_BOSH], LOG_LEVEL_INFO);
	assert_int_equal(config->log_levels[LOG_AREA_TLS], LOG_LEVEL_DEBUG);
	assert_int_equal(config->log_format, LOG_FORMAT_JSON);
	assert_int_equal(config->log_place, LOG_PLACE_SYSLOG);
	assert_string_equal(config->log_path, "/run/log");
	assert_false(config->origins.allows_any);
	assert_int_equal(config->origins.n_patterns, 2);
	assert_string_equal(config->origins.patterns[0].scheme, "https");
	assert_string_equal(config->origins.patterns[0].host.name, "chat.example.org");
	assert_int_equal(config->proxies.n, 2);
	assert_string_equal(config->resolvers, "127.0.0.1:5300,[::1]:53");
	assert_true(config->coding);
	assert_int_equal(config->ports.n_ranges, 2);
	assert_true(ports_allow(&config->ports, 25));
	assert_true(ports_allow(&config->ports, 71));
	assert_false(ports_allow(&config->ports, 443));
	assert_int_equal(config->n_body_max, 10001);
	assert_int_equal(config->n_stanza_max, 10002);
	assert_int_equal(config->n_pending_max, 10003);
	assert_int_equal(config->wait_s, 11);
	assert_int_equal(config->hold, 3);
	assert_int_equal(config->inactivity_s, 13);
	assert_int_equal(config->polling_s, 4);
	assert_int_equal(config->ping_interval_s, 15);
	assert_int_equal(config->n_login_message_max, 4097);
	assert_string_equal(config->websocket_see_other_uri, "wss://a.example/ws");
	assert_true(config->websocket_coding);
	assert_int_equal(config->header_timeout_s, 16);
	assert_int_equal(config->dns_timeout_ms, 1600);
	assert_int_equal(config->n_dns_tries, 4);
	assert_int_equal(config->connect_timeout_s, 17);
	assert_int_equal(config->open_timeout_s, 18);
	assert_int_equal(config->keepalive_s, 22);
	assert_int_equal(config->limits.sessions, 19);
	assert_int_equal(config->limits.sessions_per_client, 20);
	assert_int_equal(config->limits.connections_per_client, 21);
	assert_int_equal(config->budget.n_client, 100001);
	assert_int_equal(config->budget.n_total, 100002);
	assert_int_equal(config->foreign_budget.n_client, 100003);
	assert_int_equal(config->foreign_budget.n_total, 100004);
	config_unref(config);
}

/* A snapshot lives until the last reference is gone. */
static void test_references(void **state)
{
	struct config *config = made("bosh_path = \"/x\"\n");

	(void)state;
	assert_ptr_equal(config_ref(config), config);
	assert_null(config_unref(config));
	assert_string_equal(config->bosh_path, "/x");
	assert_null(config_unref(config));
	assert_null(config_unref(NULL));
}

static int read_everything(void *userdata)
{
	struct config *config = NULL;
	long n_before = ftell(userdata);
	int r = config_new(config_path, userdata, &config);

	config_unref(config);
	return r < 0 && ftell(userdata) == n_before ? -EIO : r;
}

static const char every_syntax[] =
	"include = \"/nonexistent/*.conf\"\nwait = 5 # five\n/* all\nof it */ bosh_path = '/a'\n"
	"trusted_proxies += {\"10.0.0.0/8\", ::1,}\nbind_address = true\n"
	"domain \"*.a.example\" { connect = {192.0.2.1, b:1} tls = off }\n"
	"listener unix:/a {\n tls { certificate = \"/dev/null\" } }\n// end\n";

/* Whatever is written, reading ends with a configuration, or with a message about what is wrong. */
static void test_damaged_files(void **state)
{
	static const char bytes[] = "{}=+\"'\\#/*,()\n \t$\x01\xffx0";
	unsigned random = 1;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct config *config = NULL;
		char text[sizeof(every_syntax)];

		memcpy(text, every_syntax, sizeof(text));
		for (unsigned n = 0; n < 1 + i % 3; n++) {
			random = random * 1103515245 + 12345;
			text[(random >> 8) % (sizeof(text) - 1)] =
				bytes[(random >> 20) % (sizeof(bytes) - 1)];
		}
		int r = read_text(text, &config);

		assert_true(r == 0 ? config != NULL : r == -EINVAL && errors_n > 0);
		config_unref(config);
	}
}

static void test_no_memory(void **state)
{
	FILE *errors = fopen("/dev/null", "w");
	FILE *file = fopen(config_path, "w");

	(void)state;
	assert_non_null(errors);
	assert_non_null(file);
	fputs(every_key, file);
	fputs("bind_address = true\n"
	      "domain a.example { connect = {192.0.2.1, b.example:1} ca_file = /dev/null }\n"
	      "domain \"*.a.example\" { }\ndomain b.example { }\n"
	      "listener unix:/a { allow = {\"10.0.0.0/8\", \"::1\"} }\n",
	      file);
	assert_int_equal(fclose(file), 0);
	failmalloc_each(read_everything, errors, 100);
	fclose(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),      cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_web),           cmocka_unit_test(test_references),
		cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
