/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config/config.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/config/config-case.h"

static void check_address(const struct address *address, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];

	assert_string_equal(address_format(address, text), expected);
}

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

static void test_renamed_key(void **state)
{
	struct config *config = NULL;

	(void)state;
	assert_int_equal(read_text("wait = 5\nbind_address = true\n", &config), 0);
	assert_true(config->session_bound_to_address);
	assert_printed(2, "warning: bind_address is now called session_bound_to_address\n");
	config_unref(config);
	assert_int_equal(read_text("bind_address = false\n", &config), 0);
	assert_false(config->session_bound_to_address);
	config_unref(config);
	config = made("session_bound_to_address = true\n");
	assert_true(config->session_bound_to_address);
	config_unref(config);

	assert_int_equal(
		read_text("session_bound_to_address = true\nbind_address = false\n", &config),
		-EINVAL);
	assert_printed(2, "warning: bind_address is now called session_bound_to_address\n");
	assert_non_null(
		strstr(errors_text, ":2: session_bound_to_address: expected each key once"));
	assert_int_equal(read_text("bind_address = 1\n", &config), -EINVAL);
	assert_non_null(strstr(errors_text, ": expected true or false, got '1'\n"));
	/* The old name is neither listed nor suggested. */
	refused("nonsense = true\n", 1, "unknown key 'nonsense': expected one of ");
	assert_null(strstr(errors_text, "bind_address,"));
	assert_non_null(strstr(errors_text, " session_bound_to_address,"));
	refused("bind_adress = true\n", 1, "unknown key 'bind_adress': expected one of ");
}

static void test_lists(void **state)
{
	struct config *config = made("allow_origins = {}\nlisten += {\"192.0.2.1:1\"}\n");

	(void)state;
	assert_false(config->origins.allows_any);
	assert_int_equal(config->origins.n_patterns, 0);
	assert_false(config->listens_by_default);
	assert_int_equal(config->listen.n, 3);
	check_address(&config->listen.list[2], "192.0.2.1:1");
	config_unref(config);
}

static const struct domain_rule *rule_of(const struct config *config, const char *name)
{
	const struct domain_rule *rule = domain_rules_find(&config->domains, name);

	assert_non_null(rule);
	assert_string_equal(rule->name, name);
	return rule;
}

static void check_rule_defaults(const struct domain_rule *rule)
{
	assert_int_equal(rule->n_connect, 0);
	assert_int_equal(rule->form, DOMAIN_FORM_UNICODE);
	assert_int_equal(rule->tls, DOMAIN_TLS_REQUIRED);
	assert_null(rule->ca_file);
	assert_int_equal(rule->n_pins, 0);
	assert_int_equal(rule->proxy, DOMAIN_PROXY_OFF);
	assert_int_equal(rule->max_sessions, 0);
	assert_false(rule->is_gone);
	assert_false(rule->is_pattern);
	assert_false(rule->deny);
	assert_false(rule->allow_private);
}

static void test_domains(void **state)
{
	char text[2048];
	struct config *config;
	const struct domain_rule *rule;

	(void)state;
	snprintf(text, sizeof(text),
		 "domain \"z.example\" { }\n"
		 "domain \"Example.ORG\" {\n"
		 "  connect = {\"127.0.0.1\", \"[::1]:5269\"}\n"
		 "  tls = \"direct\"\n"
		 "  proxy_protocol = v2\n"
		 "  max_sessions = 1000000\n"
		 "  ca_file = \"%s\"\n"
		 "}\n"
		 "domain \"bücher.example.\" { tls = off deny = true ca_file = \"\" }\n"
		 "domain chat { connect = {prosody, \"Bücher.example:1\", 192.0.2.1} "
		 "name_form = ascii }\n"
		 "domain localhost { tls = opportunistic allow_private = yes }\n"
		 "domain \"*.z.example\" { gone = true\n"
		 "  pin = {\"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\",\n"
		 "    \"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}\n"
		 "}\n",
		 config_path);
	config = made(text);
	assert_int_equal(config->domains.n_rules, 6);

	check_rule_defaults(rule_of(config, "z.example"));

	rule = domain_rules_find(&config->domains, "a.z.example");
	assert_non_null(rule);
	assert_true(rule->is_pattern);
	assert_true(rule->is_gone);
	assert_int_equal(rule->n_pins, 2);
	assert_int_equal(rule->pins[0].sha256[0], 0xe3);
	assert_int_equal(rule->pins[1].sha256[31], 0);

	rule = rule_of(config, "example.org");
	assert_int_equal(rule->n_connect, 2);
	check_address(&rule->connect[0].address, "127.0.0.1:5222");
	check_address(&rule->connect[1].address, "[::1]:5269");
	assert_int_equal(rule->tls, DOMAIN_TLS_DIRECT);
	assert_int_equal(rule->proxy, DOMAIN_PROXY_V2);
	assert_int_equal(rule->max_sessions, 1000000);
	assert_string_equal(rule->ca_file, config_path);
	/* allow_private is not needed for the addresses in connect. Others may come from the
	 * DNS. */
	assert_false(rule->allow_private);

	rule = rule_of(config, "xn--bcher-kva.example");
	assert_int_equal(rule->tls, DOMAIN_TLS_OFF);
	assert_null(rule->ca_file);
	assert_true(rule->deny);
	assert_false(rule->allow_private);

	rule = rule_of(config, "chat");
	assert_int_equal(rule->form, DOMAIN_FORM_ASCII);
	assert_int_equal(rule->n_connect, 3);
	assert_string_equal(rule->connect[0].host, "prosody");
	assert_int_equal(rule->connect[0].port, 5222);
	assert_string_equal(rule->connect[1].host, "xn--bcher-kva.example");
	assert_int_equal(rule->connect[1].port, 1);
	assert_null(rule->connect[2].host);

	rule = rule_of(config, "localhost");
	assert_int_equal(rule->tls, DOMAIN_TLS_OPPORTUNISTIC);
	assert_true(rule->allow_private);
	assert_null(domain_rules_find(&config->domains, "example.com"));
	config_unref(config);
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
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_web),
		cmocka_unit_test(test_least_budget),
		cmocka_unit_test(test_least_foreign_budget),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_renamed_key),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_list_limits),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
