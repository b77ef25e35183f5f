/* SPDX-License-Identifier: MIT */
/* The keys of a section domain "example.org" { ... }. */
#include <errno.h>
#include <stdlib.h>

#include "common/array.h"
#include "gateway/config/config.h"
#include "gateway/config/endpoint.h"
#include "gateway/config/scope.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"
#include "gateway/upstream/tls/pin.h"

enum {
	PORT_CONNECT = 5222, /* IANA: xmpp-client */
};

/* Reads "host" or "host:port". Returns 0, -EINVAL or -ENOMEM. */
static int read_host(const char *text, struct domain_server *server)
{
	struct sv view = sv_from(text);
	size_t n_host = sv_find(view, ':');
	char ascii[DOMAIN_MAX + 1];
	uint64_t port = PORT_CONNECT;

	if (n_host < view.n &&
	    (sv_to_u64(sv_skip(view, n_host + 1), UINT16_MAX, &port) < 0 || !port)) {
		return -EINVAL;
	}
	int r = domain_host_to_ascii(sv_first(view, n_host), ascii);

	if (r < 0) {
		return r;
	}
	server->host = strdup(ascii);
	server->port = (uint16_t)port;
	return server->host ? 0 : -ENOMEM;
}

static int read_server(const struct config_setting *setting, const struct config_value *value,
		       struct domain_server *server)
{
	static const char other[] = "a host or an IP address, as in \"xmpp.example.org:5222\", "
				    "\"192.0.2.1:5222\" or \"[2001:db8::1]:5222\"";
	const char *expected =
		config_endpoint_parse(value->text, PORT_CONNECT, other, &server->address);

	if (!expected) {
		return 0;
	}
	int r = expected == other ? read_host(value->text, server) : -EINVAL;

	return r == -EINVAL ? config_refuse(setting, value, expected) : r;
}

static void free_servers(struct domain_server *list)
{
	for (size_t i = 0; i < DOMAIN_CONNECT_MAX; i++) {
		free(list[i].host);
		list[i] = (struct domain_server){0};
	}
}

static int set_connect(const struct config_setting *setting, void *member)
{
	struct domain_rule *rule = CONTAINER_OF(member, struct domain_rule, connect);
	struct domain_server list[DOMAIN_CONNECT_MAX] = {0};
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values && i < DOMAIN_CONNECT_MAX && result != -ENOMEM;
	     i++) {
		int r = read_server(setting, &setting->values[i], &list[i]);

		result = r < 0 ? r : result;
	}
	if (result < 0) {
		free_servers(list);
		return result;
	}
	free_servers(rule->connect);
	memcpy(rule->connect, list, sizeof(list));
	rule->n_connect = setting->n_values;
	return 0;
}

static void deinit_connect(void *member)
{
	struct domain_rule *rule = CONTAINER_OF(member, struct domain_rule, connect);

	free_servers(rule->connect);
	rule->n_connect = 0;
}

static const struct config_type type_connect = {
	.is_list = true, .set = set_connect, .deinit = deinit_connect};

static int set_pins(const struct config_setting *setting, void *member)
{
	struct domain_rule *rule = CONTAINER_OF(member, struct domain_rule, pins);
	struct pin list[DOMAIN_PINS_MAX] = {0};
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values; i++) {
		struct pin pin;

		if (pin_parse(sv_from(setting->values[i].text), &pin) < 0) {
			result = config_refuse(setting, &setting->values[i],
					       "the SHA-256 of a public key, \"sha256//\" and 44 "
					       "characters of base64");
		} else if (i < DOMAIN_PINS_MAX) {
			list[i] = pin;
		}
	}
	if (result == 0) {
		memcpy(rule->pins, list, sizeof(list));
		rule->n_pins = setting->n_values;
	}
	return result;
}

static const struct config_type type_pins = {.is_list = true, .set = set_pins};

static const char *const proxies[] = {
#define X(name, text) [DOMAIN_PROXY_##name] = text,
	DOMAIN_PROXIES(X)
#undef X
};

static const char *const tls_modes[] = {
#define X(name, text) [DOMAIN_TLS_##name] = text,
	DOMAIN_TLS_MODES(X)
#undef X
};

static const char *const forms[] = {
#define X(name, text) [DOMAIN_FORM_##name] = text,
	DOMAIN_FORMS(X)
#undef X
};

static const struct config_key keys[] = {
	CONFIG_LIST("connect", type_connect, domain_rule, connect, "{}", DOMAIN_CONNECT_MAX),
	CONFIG_CHOICE("name_form", domain_rule, form, "\"unicode\"", forms),
	CONFIG_CHOICE("tls", domain_rule, tls, "\"required\"", tls_modes),
	CONFIG_KEY("ca_file", config_type_file, domain_rule, ca_file, "\"\""),
	CONFIG_LIST("pin", type_pins, domain_rule, pins, "{}", DOMAIN_PINS_MAX),
	CONFIG_CHOICE("proxy_protocol", domain_rule, proxy, "\"off\"", proxies),
	CONFIG_KEY("proxy", config_type_egress, domain_rule, egress, "\"\""),
	CONFIG_KEY("proxy_dns", config_type_bool, domain_rule, egress_resolves, "false"),
	CONFIG_LIST("source_address", config_type_sources, domain_rule, sources, "{}",
		    EGRESS_SOURCES_MAX),
	/* 0: no limit. */
	CONFIG_NUMBER("max_sessions", domain_rule, max_sessions, "0", 0, DOMAIN_SESSIONS_MAX),
	CONFIG_KEY("deny", config_type_bool, domain_rule, deny, "false"),
	CONFIG_KEY("gone", config_type_bool, domain_rule, is_gone, "false"),
	CONFIG_KEY("allow_private", config_type_bool, domain_rule, allow_private, "false"),
};

static int add(struct config_scope *scope)
{
	struct domain_rules *rules = &scope->config->domains;
	struct domain_rule *list = array_grow(rules->rules, rules->n_rules, sizeof(*list));

	if (!list) {
		return -ENOMEM;
	}
	rules->rules = list;
	struct domain_rule *rule = &rules->rules[rules->n_rules++];

	*rule = (struct domain_rule){0};
	scope->base = rule;
	int r = domain_pattern_parse(sv_from(scope->title), rule->name, &rule->is_pattern);
	if (r == -EINVAL) {
		config_error(
			scope->errors, scope->place,
			"domain: expected a domain name, \"*.\" and a name, or \"*\", got '%s'",
			scope->title);
	}
	return r;
}

static int complete(struct config_scope *scope)
{
	const struct domain_rule *rule = scope->base;
	bool is_verified = rule->tls == DOMAIN_TLS_REQUIRED || rule->tls == DOMAIN_TLS_DIRECT;
	char ascii[DOMAIN_MAX + 1];

	/* Without a server of its own, such a name could never be used. */
	if (rule->n_connect == 0 && rule->name[0] && !rule->is_pattern &&
	    domain_to_ascii(sv_from(rule->name), ascii) == -EINVAL) {
		config_error(scope->errors, scope->place,
			     "domain: expected connect in the section of an address, a name of one "
			     "label or one with \"_\", got '%s'",
			     scope->title);
	}
	if (rule->n_pins && !is_verified) {
		config_error(scope->errors, config_scope_find(scope, "pin")->place,
			     "pin: expected only with tls = required or direct, got tls = %s",
			     domain_tls_name(rule->tls));
	}
	/* Only the operator's own servers may learn the clients' addresses. Most other servers
	 * would treat the header as an error anyway. */
	if (rule->proxy != DOMAIN_PROXY_OFF && rule->n_connect == 0) {
		config_error(scope->errors, config_scope_find(scope, "proxy_protocol")->place,
			     "proxy_protocol: expected only together with connect");
	}
	if (rule->egress_resolves && rule->egress.kind == EGRESS_NONE) {
		config_error(scope->errors, config_scope_find(scope, "proxy_dns")->place,
			     "proxy_dns: expected only together with proxy");
	}
	if (rule->deny && rule->is_gone) {
		config_error(scope->errors,
			     config_place_later(config_scope_find(scope, "deny")->place,
						config_scope_find(scope, "gone")->place),
			     "deny and gone: expected at most one of them");
	}
	return 0;
}

static int compare_names(const void *a, const void *b, void *rules)
{
	const struct domain_rule *list = ((const struct domain_rules *)rules)->rules;
	size_t i = *(const size_t *)a;
	size_t j = *(const size_t *)b;
	int order = strcmp(list[i].name, list[j].name);

	order = order ? order : (int)list[i].is_pattern - (int)list[j].is_pattern;
	/* Of two equal ones the first in the file comes first. */
	return order ? order : i < j ? -1 : 1;
}

static void report_twice(const struct config_sections *sections, size_t first, size_t second)
{
	const struct domain_rule *rule = &sections->config->domains.rules[second];
	const struct config_place *place = &sections->places[first];

	/* Names that were refused are empty. */
	if (rule->name[0] || rule->is_pattern) {
		config_error(sections->errors, sections->places[second],
			     "domain: expected each domain once, got '%s%s' again, after %s:%u",
			     !rule->is_pattern ? ""
			     : rule->name[0]   ? "*."
					       : "*",
			     rule->name, place->file, place->line);
	}
}

static int complete_all(struct config_sections *sections)
{
	struct domain_rules *rules = &sections->config->domains;
	size_t *order = calloc(sections->n + 1, sizeof(*order));

	if (!order) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < sections->n; i++) {
		order[i] = i;
	}
	qsort_r(order, sections->n, sizeof(*order), compare_names, rules);
	for (size_t i = 1; i < sections->n; i++) {
		const struct domain_rule *a = &rules->rules[order[i - 1]];
		const struct domain_rule *b = &rules->rules[order[i]];

		if (a->is_pattern == b->is_pattern && strcmp(a->name, b->name) == 0) {
			report_twice(sections, order[i - 1], order[i]);
		}
	}
	free(order);
	domain_rules_sort(rules);
	return 0;
}

const struct config_table config_table_domain = {
	.name = "domain",
	.title = "a domain",
	.keys = keys,
	.n_keys = ARRAY_LENGTH(keys),
	.add = add,
	.complete = complete,
	.complete_all = complete_all,
};

void config_domains_deinit(struct domain_rules *rules)
{
	for (size_t i = 0; i < rules->n_rules; i++) {
		config_table_deinit(&config_table_domain, &rules->rules[i]);
	}
	free(rules->rules);
	*rules = (struct domain_rules){0};
}
