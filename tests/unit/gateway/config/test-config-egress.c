/* SPDX-License-Identifier: MIT */
/* Where connections to servers leave from: source_address, proxy, proxy_dns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/config/config-case.h"

static void assert_source(const struct egress_sources *sources, size_t i, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];

	assert_true(i < sources->n);
	assert_string_equal(address_format_host(&sources->addresses[i], text), expected);
}

static void test_defaults(void **state)
{
	struct config *config = made("domain a.example { }\n");
	const struct domain_rule *rule = &config->domains.rules[0];

	(void)state;
	assert_int_equal(config->sources.n, 0);
	assert_int_equal(rule->sources.n, 0);
	assert_int_equal(rule->egress.kind, EGRESS_NONE);
	assert_false(rule->egress_resolves);
	config_unref(config);
}

static void test_values(void **state)
{
	struct config *config = made("source_address = {192.0.2.1, \"2001:db8::1\", \"[::1]\"}\n"
				     "domain a.example {\n"
				     "  proxy = \"http://10.0.0.1:3128\"\n"
				     "  source_address = \"0.0.0.0\"\n"
				     "}\n"
				     "domain \"*.onion\" {\n"
				     "  proxy = \"socks5://me:p%40ss@tor:9050\"\n"
				     "  proxy_dns = true\n"
				     "}\n"
				     "domain c.example { proxy = \"\" }\n");
	const struct domain_rule *rule = domain_rules_find(&config->domains, "a.example");
	char text[EGRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(config->sources.n, 3);
	assert_source(&config->sources, 0, "192.0.2.1");
	assert_source(&config->sources, 1, "2001:db8::1");
	assert_source(&config->sources, 2, "::1");
	assert_string_equal(egress_format(&rule->egress, text), "http://10.0.0.1:3128");
	assert_source(&rule->sources, 0, "0.0.0.0");
	rule = domain_rules_find(&config->domains, "x.onion");
	assert_string_equal(egress_format(&rule->egress, text), "socks5://tor:9050");
	assert_string_equal(rule->egress.password, "p@ss");
	assert_true(rule->egress_resolves);
	rule = domain_rules_find(&config->domains, "c.example");
	assert_int_equal(rule->egress.kind, EGRESS_NONE);
	config_unref(config);
}

static void test_refused(void **state)
{
	static const char *const sources[] = {
		"", "a.example", "192.0.2.1:5", "192.0.2", "192.0.2.0/24", "[::1]:5222", "eth0"};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
		(void)snprintf(text, sizeof(text), "\nsource_address = {\"::1\", \"%s\"}\n",
			       sources[i]);
		refused(text, 2, "source_address: expected an IP address without a port");
		(void)snprintf(text, sizeof(text),
			       "domain a.example {\nsource_address = \"%s\" }\n", sources[i]);
		refused(text, 2, "source_address: expected an IP address without a port");
	}
	refused("domain a.example {\n proxy = \"socks4://a:1\" }\n", 2,
		"proxy: expected a proxy, as in \"socks5://127.0.0.1:9050\"");
	refused("domain a.example {\n\n proxy_dns = true }\n", 3,
		"proxy_dns: expected only together with proxy\n");
	refused("domain a.example { proxy = \"\"\n proxy_dns = true }\n", 2,
		"proxy_dns: expected only together with proxy\n");
}

/* The log of a service is read by more people than its configuration. */
static void test_password_is_not_printed(void **state)
{
	(void)state;
	refused("domain a.example { proxy = \"socks5://me:hunter2@proxy\" }\n", 1,
		"proxy: expected a proxy");
	assert_null(strstr(errors_text, "hunter2"));
}

static void test_number_of_sources(void **state)
{
	char text[512] = "source_address = {192.0.2.0";
	size_t n = strlen(text);

	(void)state;
	for (unsigned i = 1; i <= EGRESS_SOURCES_MAX; i++) {
		(void)snprintf(text + n, sizeof(text) - n, "}\n");
		struct config *config = made(text);

		assert_int_equal(config->sources.n, i);
		config_unref(config);
		n += (size_t)snprintf(text + n, sizeof(text) - n, ", 192.0.2.%u", i);
	}
	(void)snprintf(text + n, sizeof(text) - n, "}\n");
	refused(text, 1, "source_address: expected at most 8 entries\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_password_is_not_printed),
		cmocka_unit_test(test_number_of_sources),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
