/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/domain-rules.h"

#define A49 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeee"
#define A59 A49 "ffffffffff"
#define A60 A59 "f"
#define A63 A60 "fff"
#define A64 A60 "ffff"
/* 4 * 63 + 3 dots are 255; 253, the longest, is three of 63 and one of 61. */
#define NAME_251 A63 "." A63 "." A63 "." A59
#define NAME_252 A63 "." A63 "." A63 "." A60
#define NAME_253 A63 "." A63 "." A63 "." A60 "f"

static const struct {
	const char *text;
	const char *name;
	bool is_pattern;
} names[] = {
	{"example.org", "example.org", false},
	{"Example.ORG.", "example.org", false},
	{"localhost", "localhost", false},
	{"*", "", true},
	{"*.example.org", "example.org", true},
	{"*.Example.ORG.", "example.org", true},
	{"*.a.b.c.d", "a.b.c.d", true},
	{"*.test", "test", true},
	{"*.localhost", "localhost", true},
	{"*.bücher.example", "xn--bcher-kva.example", true},
	{"*.XN--BCHER-KVA.example", "xn--bcher-kva.example", true},
	{"*." NAME_251, NAME_251, true},
};

static void test_patterns(void **state)
{
	static const char *const bad[] = {
		"",
		"**",
		"*.",
		"*..",
		"*.*",
		"*.*.example.org",
		"**.example.org",
		"*example.org",
		"a*.example.org",
		"a.*.example.org",
		"example.*",
		"*.example.org:5222",
		"*.example..org",
		".example.org",
		"*.192.0.2.1",
		"*.1",
		"*.-a.example",
		"*.exa mple.org",
		"*. example.org",
		" *.example.org",
		"?.example.org",
		"*.[::1]",
		"*/",
		"*,example.org",
		"exa mple",
		"*.a_b.example",
		"*.192.0.2.1",
		"192.0.2",
		"192.0.2.1:1",
		"[2001:db8::1",
		"*." A64,
		/* No name can be below one that is this long. */
		"*." NAME_252,
		"*." NAME_253,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		char name[DOMAIN_MAX + 1];
		bool is_pattern = !names[i].is_pattern;

		if (domain_pattern_parse(sv_from(names[i].text), name, &is_pattern) != 0) {
			fail_msg("refused: '%s'", names[i].text);
		}
		assert_string_equal(name, names[i].name);
		assert_int_equal(is_pattern, names[i].is_pattern);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		char name[DOMAIN_MAX + 1] = "untouched";
		bool is_pattern;

		if (domain_pattern_parse(sv_from(bad[i]), name, &is_pattern) != -EINVAL) {
			fail_msg("taken: '%s'", bad[i]);
		}
		assert_string_equal(name, "untouched");
	}
	assert_int_equal(domain_pattern_parse(SV_EMPTY, (char[DOMAIN_MAX + 1]){0}, &(bool){false}),
			 -EINVAL);
}

/* The names of @patterns as sorted rules. */
static size_t rules_make(struct domain_rules *rules, const char *const *patterns, size_t n)
{
	memset(rules->rules, 0, n * sizeof(*rules->rules));
	for (size_t i = 0; i < n; i++) {
		struct domain_rule *rule = &rules->rules[i];

		assert_int_equal(
			domain_pattern_parse(sv_from(patterns[i]), rule->name, &rule->is_pattern),
			0);
	}
	rules->n_rules = n;
	domain_rules_sort(rules);
	return n;
}

/* What is found for @ascii, written as a pattern; "-" for nothing. */
static const char *found(const struct domain_rules *rules, const char *ascii)
{
	static char text[DOMAIN_MAX + 3];
	const struct domain_rule *rule = domain_rules_find(rules, ascii);

	if (!rule) {
		return "-";
	}
	(void)snprintf(text, sizeof(text), "%s%s%s", rule->is_pattern ? "*" : "",
		       rule->is_pattern && rule->name[0] ? "." : "", rule->name);
	return text;
}

static const struct {
	const char *ascii;
	const char *rule;
} find_patterns[] = {
	{"example.org", "example.org"},
	{"a.example.org", "*.example.org"},
	{"a.b.example.org", "*.example.org"},
	{"z.example.org", "z.example.org"},
	{"a.z.example.org", "*.example.org"},
	{"chat.example.org", "chat.example.org"},
	{"a.chat.example.org", "*.chat.example.org"},
	{"a.b.chat.example.org", "*.chat.example.org"},
	{"xchat.example.org", "*.example.org"},
	{"a.xchat.example.org", "*.example.org"},
	/* Similar names that are not below it. */
	{"evilexample.org", "-"},
	{"a.evilexample.org", "-"},
	{"example.org.evil.net", "-"},
	{"a.example.org.evil.net", "-"},
	{"example.orgx", "-"},
	{"org", "-"},
	{"example.com", "-"},
	{"-example.org", "-"},
	{"xn--example-org.net", "-"},
	{"example-org.net", "-"},
	{"a.example-org.net", "*.example-org.net"},
	{"a.test", "*.test"},
	{"a.b.c.d.test", "*.test"},
	{"test", "-"},
	{"atest", "-"},
	{"a.atest", "-"},
	{"xn--bcher-kva.example", "-"},
	{"a.xn--bcher-kva.example", "*.xn--bcher-kva.example"},
	{"localhost", "-"},
	{"", "-"},
};

static void test_find_patterns(void **state)
{
	static const char *const patterns[] = {
		"*.example.org",      "example.org",   "chat.example.org",
		"*.chat.example.org", "*.test",        "*.xn--bcher-kva.example",
		"*.example-org.net",  "z.example.org",
	};
	struct domain_rule list[ARRAY_LENGTH(patterns) + 1];
	struct domain_rules rules = {list, 0};
	const char *with_all[ARRAY_LENGTH(patterns) + 1];

	(void)state;
	rules_make(&rules, patterns, ARRAY_LENGTH(patterns));
	for (size_t i = 0; i < ARRAY_LENGTH(find_patterns); i++) {
		assert_string_equal(found(&rules, find_patterns[i].ascii), find_patterns[i].rule);
	}
	/* "*" matches what no other rule does. */
	memcpy(with_all, patterns, sizeof(patterns));
	with_all[ARRAY_LENGTH(patterns)] = "*";
	rules_make(&rules, with_all, ARRAY_LENGTH(with_all));
	for (size_t i = 0; i < ARRAY_LENGTH(find_patterns) - 1; i++) {
		bool is_none = find_patterns[i].rule[0] == '-';

		assert_string_equal(found(&rules, find_patterns[i].ascii),
				    is_none ? "*" : find_patterns[i].rule);
	}
}

/* The order of the rules in the file does not matter. */
static void test_find_in_any_order(void **state)
{
	const char *patterns[] = {"*", "*.b.c", "b.c", "*.c", "a.b.c"};
	static const char *const rows[][2] = {
		{"a.b.c", "a.b.c"}, {"x.b.c", "*.b.c"}, {"b.c", "b.c"},
		{"d.c", "*.c"},     {"c", "*"},         {"d", "*"},
	};
	struct domain_rule list[ARRAY_LENGTH(patterns)];
	struct domain_rules rules = {list, 0};

	(void)state;
	for (size_t turn = 0; turn < ARRAY_LENGTH(patterns); turn++) {
		const char *first = patterns[0];

		memmove(patterns, patterns + 1, sizeof(patterns) - sizeof(*patterns));
		patterns[ARRAY_LENGTH(patterns) - 1] = first;
		rules_make(&rules, patterns, ARRAY_LENGTH(patterns));
		for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
			assert_string_equal(found(&rules, rows[i][0]), rows[i][1]);
		}
	}
}

/* The longest name with the most labels. */
static void test_find_in_many_labels(void **state)
{
	static const char *const patterns[] = {"*.a.a.a.a.a", "*"};
	struct domain_rule list[ARRAY_LENGTH(patterns)];
	struct domain_rules rules = {list, 0};
	char name[254];

	(void)state;
	for (size_t i = 0; i < sizeof(name) - 1; i++) {
		name[i] = i % 2 ? '.' : 'a';
	}
	name[sizeof(name) - 1] = '\0';
	rules_make(&rules, patterns, ARRAY_LENGTH(patterns));
	assert_string_equal(found(&rules, name), "*.a.a.a.a.a");
	assert_string_equal(found(&rules, "a.a.a.a.a"), "*");
}

static void test_rules_find(void **state)
{
	struct domain_rule list[] = {
		{.name = "a.example"}, {.name = "example.org"}, {.name = "z.example"}};
	struct domain_rules rules = {list, ARRAY_LENGTH(list)};
	struct domain_rules none = {NULL, 0};

	(void)state;
	assert_ptr_equal(domain_rules_find(&rules, "a.example"), &list[0]);
	assert_ptr_equal(domain_rules_find(&rules, "example.org"), &list[1]);
	assert_ptr_equal(domain_rules_find(&rules, "z.example"), &list[2]);
	assert_null(domain_rules_find(&rules, "evilexample.org"));
	assert_null(domain_rules_find(&rules, "chat.example.org"));
	assert_null(domain_rules_find(&rules, "org"));
	assert_null(domain_rules_find(&rules, ""));
	assert_null(domain_rules_find(&none, "example.org"));
}

static void test_rule_names_address(void **state)
{
	struct domain_rule rule = {.n_connect = 2};
	struct address address;
	char host[] = "192.0.2.9";

	(void)state;
	assert_int_equal(address_parse(SV("192.0.2.1:5222"), -1, &rule.connect[0].address), 0);
	assert_int_equal(address_parse(SV("[2001:db8::1]:5223"), -1, &rule.connect[1].address), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_true(domain_rule_names_address(&rule, &rule.connect[i].address));
		address = rule.connect[i].address;
		address_set_port(&address, 1);
		assert_false(domain_rule_names_address(&rule, &address));
	}
	assert_int_equal(address_parse(SV("192.0.2.2:5222"), -1, &address), 0);
	assert_false(domain_rule_names_address(&rule, &address));
	rule.n_connect = 1;
	assert_false(domain_rule_names_address(&rule, &rule.connect[1].address));
	assert_false(domain_rule_names_address(NULL, &rule.connect[0].address));
	/* A host has no address that could be known here. */
	rule.connect[0] = (struct domain_server){.host = host, .port = 5222};
	assert_false(domain_rule_names_address(&rule, &rule.connect[0].address));
}

static void test_judge(void **state)
{
	struct domain_rule rows[] = {
		{.is_pattern = true, .n_connect = 1},      {.name = "192.0.2.1", .n_connect = 1},
		{.name = "[2001:db8::1]", .n_connect = 1}, {.name = "a.example"},
		{.name = "chat", .n_connect = 1},          {.name = "nowhere"},
		{.name = "x_y.example", .n_connect = 1},
	};
	static const struct {
		const char *text;
		const char *name; /* NULL: not a domain */
	} cases[] = {
		{"a.example", "a.example"},
		{"b.example", ""},
		{"Chat.", "chat"},
		{"chat", "chat"},
		{"X_y.Example", "x_y.example"},
		{"192.0.2.1", "192.0.2.1"},
		{"[2001:DB8:0::1]", "[2001:db8::1]"},
		{"[::ffff:192.0.2.1]", "192.0.2.1"},
		{"nowhere", NULL},
		{"other", NULL},
		{"y_x.example", NULL},
		{"192.0.2.2", NULL},
		{"192.0.2.1:5222", NULL},
		{"[2001:db8::1]:5222", NULL},
		{"2001:db8::1", NULL},
		{"[2001:db8::1", NULL},
		{"[2001:db8::1%lo]", NULL},
		{"192.0.2.01", NULL},
		{"chat:1", NULL},
		{"", NULL},
		{"[", NULL},
		{"[]", NULL},
		{"*", NULL},
	};
	struct domain_rules rules = {rows, ARRAY_LENGTH(rows)};
	struct domain_rules none = {0};

	(void)state;
	domain_rules_sort(&rules);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct domain_rule *rule = NULL;
		char ascii[DOMAIN_MAX + 1] = "?";
		int r = domain_rules_judge(&rules, sv_from(cases[i].text), ascii, &rule);

		if (!cases[i].name) {
			assert_int_equal(r, -EINVAL);
			assert_string_equal(ascii, "?");
			assert_null(rule);
			continue;
		}
		if (r != 0) {
			fail_msg("refused: %s", cases[i].text);
		}
		assert_string_equal(rule->name, cases[i].name);
	}
	const struct domain_rule *rule = &rows[0];
	char ascii[DOMAIN_MAX + 1];

	assert_int_equal(domain_rules_judge(&none, SV("a.example"), ascii, &rule), 0);
	assert_null(rule);
	assert_int_equal(domain_rules_judge(&none, SV("chat"), ascii, &rule), -EINVAL);
}

/* One rule is enough to name a host. */
static void test_judge_by_one_rule(void **state)
{
	struct domain_rule row = {.name = "chat", .n_connect = 1};
	const struct domain_rules rules = {&row, 1};
	const struct domain_rule *rule = NULL;
	char ascii[DOMAIN_MAX + 1];

	(void)state;
	assert_int_equal(domain_rules_judge(&rules, SV("chat"), ascii, &rule), 0);
	assert_ptr_equal(rule, &row);
	assert_string_equal(ascii, "chat");
}

static void assert_needs_system_store(struct domain_rule *rows, size_t n, bool expected)
{
	struct domain_rules rules = {.rules = rows, .n_rules = n};

	assert_int_equal(domain_rules_need_system_store(&rules), expected);
}

static void test_need_system_store(void **state)
{
	char file[] = "/etc/own.pem";
	struct domain_rule all = {.is_pattern = true, .ca_file = file};
	struct domain_rule rows[] = {{.name = "a.example", .ca_file = file}, all};

	(void)state;
	assert_needs_system_store(NULL, 0, true);
	assert_needs_system_store(rows, 1, true);
	assert_needs_system_store(rows, 2, false);
	/* Domains outside a pattern have the defaults. */
	rows[1] = (struct domain_rule){.name = "example", .is_pattern = true, .ca_file = file};
	assert_needs_system_store(rows, 2, true);
	for (enum domain_tls tls = DOMAIN_TLS_REQUIRED; tls <= DOMAIN_TLS_OFF; tls++) {
		rows[1] = (struct domain_rule){.is_pattern = true, .tls = tls};
		assert_needs_system_store(rows, 2,
					  tls == DOMAIN_TLS_REQUIRED || tls == DOMAIN_TLS_DIRECT);
	}
	rows[1] = (struct domain_rule){.is_pattern = true, .deny = true};
	assert_needs_system_store(rows, 2, false);
	rows[1] = (struct domain_rule){.is_pattern = true, .is_gone = true};
	assert_needs_system_store(rows, 2, false);
	rows[0] = (struct domain_rule){.name = "a.example"};
	assert_needs_system_store(rows, 2, true);
}

static void test_which_are_known(void **state)
{
	const struct domain_rule named = {.name = "a.example"};
	const struct domain_rule pattern = {.name = "a.example", .is_pattern = true};
	const struct domain_rule all = {.is_pattern = true};
	const struct domain_rule all_here = {.is_pattern = true, .n_connect = 1};

	(void)state;
	assert_true(domain_rule_is_known(&named));
	assert_true(domain_rule_is_known(&pattern));
	assert_false(domain_rule_is_known(&all));
	assert_true(domain_rule_is_known(&all_here));
	assert_false(domain_rule_is_known(NULL));
}

static void test_tls_names(void **state)
{
	(void)state;
	assert_string_equal(domain_tls_name(DOMAIN_TLS_REQUIRED), "required");
	assert_string_equal(domain_tls_name(DOMAIN_TLS_OFF), "off");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_find_patterns),
		cmocka_unit_test(test_find_in_any_order),
		cmocka_unit_test(test_find_in_many_labels),
		cmocka_unit_test(test_rules_find),
		cmocka_unit_test(test_rule_names_address),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_judge_by_one_rule),
		cmocka_unit_test(test_need_system_store),
		cmocka_unit_test(test_which_are_known),
		cmocka_unit_test(test_tls_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
