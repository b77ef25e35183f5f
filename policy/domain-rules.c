/* SPDX-License-Identifier: MIT */
#include "policy/domain-rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const tls_names[] = {
#define X(name, text) [DOMAIN_TLS_##name] = text,
	DOMAIN_TLS_MODES(X)
#undef X
};

struct rule_key {
	const char *name;
	bool is_pattern;
};

static int key_compare(const void *key_pointer, const void *rule_pointer)
{
	const struct rule_key *key = key_pointer;
	const struct domain_rule *rule = rule_pointer;
	int order = strcmp(key->name, rule->name);

	return order ? order : (int)key->is_pattern - (int)rule->is_pattern;
}

static int rule_compare(const void *a, const void *b)
{
	const struct domain_rule *rule = a;

	return key_compare(&(struct rule_key){rule->name, rule->is_pattern}, b);
}

void domain_rules_sort(struct domain_rules *rules)
{
	if (rules->n_rules) {
		qsort(rules->rules, rules->n_rules, sizeof(*rules->rules), rule_compare);
	}
}

static const struct domain_rule *find(const struct domain_rules *rules, const char *name,
				      bool is_pattern)
{
	const struct rule_key key = {name, is_pattern};

	return bsearch(&key, rules->rules, rules->n_rules, sizeof(*rules->rules), key_compare);
}

const struct domain_rule *domain_rules_find(const struct domain_rules *rules, const char *ascii)
{
	if (rules->n_rules == 0) {
		return NULL;
	}
	const struct domain_rule *rule = find(rules, ascii, false);

	/* Look for a pattern after each dot in turn, the longest first, and at last for "", which
	 * is the name of the pattern "*". */
	while (!rule && *ascii) {
		ascii += strcspn(ascii, ".");
		ascii += *ascii == '.';
		rule = find(rules, ascii, true);
	}
	return rule;
}

int domain_rules_judge(const struct domain_rules *rules, struct sv text,
		       char ret_ascii[static DOMAIN_MAX + 1], const struct domain_rule **ret_rule)
{
	char host[DOMAIN_MAX + 1];
	int r = domain_to_ascii(text, ret_ascii);

	if (r == 0) {
		*ret_rule = domain_rules_find(rules, ret_ascii);
	}
	if (r != -EINVAL || rules->n_rules == 0) {
		return r;
	}
	r = domain_host_to_ascii(text, host);
	if (r < 0) {
		return r;
	}
	const struct domain_rule *rule = find(rules, host, false);

	if (!rule || rule->n_connect == 0) {
		return -EINVAL;
	}
	memcpy(ret_ascii, host, sizeof(host));
	*ret_rule = rule;
	return 0;
}

static bool rule_needs_system_store(const struct domain_rule *rule)
{
	bool is_served = !rule->deny && !rule->is_gone;
	bool is_verified = rule->tls == DOMAIN_TLS_REQUIRED || rule->tls == DOMAIN_TLS_DIRECT;

	return is_served && is_verified && !rule->ca_file;
}

bool domain_rules_need_system_store(const struct domain_rules *rules)
{
	bool has_rule_for_all = false;

	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct domain_rule *rule = &rules->rules[i];

		if (rule_needs_system_store(rule)) {
			return true;
		}
		has_rule_for_all |= rule->is_pattern && !*rule->name;
	}
	/* Without a rule for "*", domains without a rule are served with the defaults. */
	return !has_rule_for_all;
}

bool domain_rule_is_known(const struct domain_rule *rule)
{
	return rule && (rule->name[0] || rule->n_connect);
}

const char *domain_tls_name(enum domain_tls tls)
{
	return tls_names[tls];
}

bool domain_rule_names_address(const struct domain_rule *rule, const struct address *address)
{
	for (size_t i = 0; rule && i < rule->n_connect; i++) {
		const struct domain_server *server = &rule->connect[i];

		if (!server->host && address_is_same(&server->address, address)) {
			return true;
		}
	}
	return false;
}
