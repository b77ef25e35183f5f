/* SPDX-License-Identifier: MIT */
/*
 * policy/domain-rules.h. The input is the names of rules, a line for each, and behind a line "-"
 * domains that a client names. The rule of a domain is the one that a search through all of them
 * finds, which compares label by label from the end. What has no rule that names its servers is a
 * domain and nothing else.
 *
 * covers: policy/domain-rules.c
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "policy/domain-rules.h"

enum {
	RULES_MAX = 16,
	DOMAINS_MAX = 16,
};

/* The number of labels that @text ends with, if these are all of @suffix; else -1. */
static int labels_in_common(const char *text, const char *suffix)
{
	size_t n = strlen(text), n_suffix = strlen(suffix);
	int n_labels = 0;

	while (n_suffix > 0) {
		size_t begin = n, begin_suffix = n_suffix;

		while (begin > 0 && text[begin - 1] != '.') {
			begin--;
		}
		while (begin_suffix > 0 && suffix[begin_suffix - 1] != '.') {
			begin_suffix--;
		}
		if (n == 0 || n - begin != n_suffix - begin_suffix ||
		    memcmp(text + begin, suffix + begin_suffix, n - begin) != 0) {
			return -1;
		}
		n_labels++;
		n = begin ? begin - 1 : 0;
		n_suffix = begin_suffix ? begin_suffix - 1 : 0;
	}
	/* A pattern stands for what is below its name. */
	return n > 0 ? n_labels : -1;
}

static const struct domain_rule *search(const struct domain_rules *rules, const char *ascii)
{
	const struct domain_rule *best = NULL;
	int n_best = -1;

	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct domain_rule *rule = &rules->rules[i];

		if (!rule->is_pattern && strcmp(rule->name, ascii) == 0) {
			return rule;
		}
		int n = rule->is_pattern ? labels_in_common(ascii, rule->name) : -1;

		if (n > n_best) {
			best = rule;
			n_best = n;
		}
	}
	return best;
}

/* Reads names up to a line "-". Each is there once, as in a configuration. */
static void read_rules(struct sv *input, struct domain_rules *rules)
{
	while (input->n && rules->n_rules < RULES_MAX) {
		struct domain_rule *rule = &rules->rules[rules->n_rules];
		struct sv line = fuzz_part(input, '\n');
		bool is_known = false;

		if (sv_eq(line, SV("-"))) {
			return;
		}
		if (domain_pattern_parse(line, rule->name, &rule->is_pattern) < 0) {
			continue;
		}
		for (size_t i = 0; i < rules->n_rules; i++) {
			is_known |= rules->rules[i].is_pattern == rule->is_pattern &&
				    strcmp(rules->rules[i].name, rule->name) == 0;
		}
		rule->n_connect = line.n % 2;
		rules->n_rules += !is_known;
	}
}

static void check(const struct domain_rules *rules, struct sv text)
{
	char ascii[DOMAIN_MAX + 1], host[DOMAIN_MAX + 1];
	const struct domain_rule *rule = NULL;
	int r = domain_rules_judge(rules, text, ascii, &rule);

	FUZZ_CHECK(r == 0 || r == -EINVAL);
	if (domain_to_ascii(text, host) == 0) {
		FUZZ_CHECK(r == 0 && strcmp(ascii, host) == 0);
		FUZZ_CHECK(rule == search(rules, ascii));
		FUZZ_CHECK(rule == domain_rules_find(rules, ascii));
		return;
	}
	/* Only a rule of exactly that name, with the operator's servers, makes it one. */
	const struct domain_rule *own =
		domain_host_to_ascii(text, host) == 0 ? search(rules, host) : NULL;
	bool is_named = own && !own->is_pattern && own->n_connect;

	FUZZ_CHECK((r == 0) == is_named);
	FUZZ_CHECK(r < 0 || (rule == own && strcmp(ascii, host) == 0));
}

void fuzz_one(struct sv input)
{
	struct domain_rule *list = calloc(RULES_MAX, sizeof(*list));
	struct domain_rules rules = {.rules = list};

	FUZZ_CHECK(list);
	read_rules(&input, &rules);
	domain_rules_sort(&rules);
	for (unsigned n = 0; n < DOMAINS_MAX && input.n; n++) {
		check(&rules, fuzz_part(&input, '\n'));
	}
	free(list);
}
