/* SPDX-License-Identifier: MIT */
/* Sections of domains, and the rules in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/config/config.h"
#include "tests/unit/gateway/config/config-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_renamed_key),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
