/* SPDX-License-Identifier: MIT */
/* The keys of a section domain "example.org" { ... }. */
#include <errno.h>
#include <stdlib.h>

#include "gateway/config/config.h"
#include "gateway/config/tables.h"
#include "gateway/config/types.h"
#include "gateway/upstream/tls/pin.h"

enum {
	PORT_CONNECT = 5222, /* IANA: xmpp-client */
};

static int set_connect(const struct config_setting *setting, void *member)
{
	struct domain_rule *rule = CONTAINER_OF(member, struct domain_rule, connect);
	struct address list[DOMAIN_CONNECT_MAX] = {0};
	int result = config_check_count(setting);

	for (size_t i = 0; i < setting->n_values; i++) {
		struct address address;

		if (address_parse(sv_from(setting->values[i].text), PORT_CONNECT, &address) < 0 ||
		    address_port(&address) == 0) {
			result = config_refuse(setting, &setting->values[i],
					       "an IP address, as in \"192.0.2.1:5222\" or "
					       "\"[2001:db8::1]:5222\"");
		} else if (i < DOMAIN_CONNECT_MAX) {
			list[i] = address;
		}
	}
	if (result == 0) {
		memcpy(rule->connect, list, sizeof(list));
		rule->n_connect = setting->n_values;
	}
	return result;
}

static const struct config_type type_connect = {.is_list = true, .set = set_connect};

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

static const struct config_key keys[] = {
	CONFIG_LIST("connect", type_connect, domain_rule, connect, "{}", DOMAIN_CONNECT_MAX),
	CONFIG_CHOICE("tls", domain_rule, tls, "\"required\"", tls_modes),
	CONFIG_KEY("ca_file", config_type_file, domain_rule, ca_file, "\"\""),
	CONFIG_LIST("pin", type_pins, domain_rule, pins, "{}", DOMAIN_PINS_MAX),
	CONFIG_CHOICE("proxy_protocol", domain_rule, proxy, "\"off\"", proxies),
	/* 0: no limit. */
	CONFIG_NUMBER("max_sessions", domain_rule, max_sessions, "0", 0, DOMAIN_SESSIONS_MAX),
	CONFIG_KEY("deny", config_type_bool, domain_rule, deny, "false"),
	CONFIG_KEY("gone", config_type_bool, domain_rule, gone, "false"),
	CONFIG_KEY("allow_private", config_type_bool, domain_rule, allow_private, "false"),
};

/* Makes room for one more, so that it is as if the list had been allocated in powers of two. */
static int grow(struct domain_rules *rules)
{
	size_t n = rules->n_rules;

	if (n & (n - 1)) {
		return 0;
	}
	struct domain_rule *list = reallocarray(rules->rules, n ? 2 * n : 1, sizeof(*rules->rules));

	if (!list) {
		return -ENOMEM;
	}
	rules->rules = list;
	return 0;
}

static int add(struct config_scope *scope)
{
	struct domain_rules *rules = &scope->config->domains;
	int r = grow(rules);

	if (r < 0) {
		return r;
	}
	struct domain_rule *rule = &rules->rules[rules->n_rules++];

	*rule = (struct domain_rule){0};
	scope->base = rule;
	r = domain_pattern_parse(sv_from(scope->title), rule->name, &rule->is_pattern);
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
	if (rule->deny && rule->gone) {
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
		free(rules->rules[i].ca_file);
	}
	free(rules->rules);
	*rules = (struct domain_rules){0};
}
