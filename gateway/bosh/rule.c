/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/rule.h"

static const struct {
	const char *name;
	enum bosh_condition condition;
	const char *sentence;
} rules[] = {
#define X(id, name, condition, sentence) \
	[BOSH_RULE_##id] = {name, BOSH_CONDITION_##condition, sentence},
	BOSH_RULES(X)
#undef X
};

const char *bosh_rule_name(enum bosh_rule rule)
{
	return rules[rule].name;
}

enum bosh_condition bosh_rule_condition(enum bosh_rule rule)
{
	return rules[rule].condition;
}

const char *bosh_rule_sentence(enum bosh_rule rule)
{
	return rules[rule].sentence;
}
