/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "gateway/ops/features.h"
#include "tests/unit/failmalloc.h"

#define OPEN \
	"<stream:features xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>"
#define CLOSE "</stream:features>"
#define SASL "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"

static struct features features;

static void read_good(const char *content)
{
	char text[8192];

	snprintf(text, sizeof(text), OPEN "%s" CLOSE, content);
	assert_int_equal(features_read(sv_from(text), &features), 0);
}

static void expect_list(const struct features_list *list, const char *expected)
{
	char text[512] = "";

	for (size_t i = 0; i < list->n; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "",
			 list->names[i]);
	}
	assert_string_equal(text, expected);
}

static void test_lists(void **state)
{
	(void)state;
	read_good("\n" SASL "<mechanism>SCRAM-SHA-1</mechanism>\n<mechanism a='b'> PLAIN "
		  "</mechanism><mechanism/>"
		  "<other>X</other><mechanism>PLAIN</mechanism>"
		  "<mechanism>SCRAM-SHA-1</mechanism></mechanisms>"
		  "<authentication "
		  "xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-256</"
		  "mechanism><inline><mechanism>NO</mechanism>"
		  "</inline></authentication>"
		  "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><c "
		  "xmlns='http://jabber.org/protocol/caps'/><c xmlns='urn:x'/>"
		  "<mechanisms xmlns='urn:other'><mechanism>EVIL</mechanism></mechanisms>");
	expect_list(&features.sasl, "SCRAM-SHA-1,PLAIN");
	expect_list(&features.sasl2, "SCRAM-SHA-256");
	expect_list(&features.others, "bind,capabilities,c,mechanisms");
	assert_false(features.has_legacy);
	read_good("<auth xmlns='http://jabber.org/features/iq-auth'/>");
	assert_true(features.has_legacy);
	expect_list(&features.others, "login without SASL");
	read_good("");
	assert_int_equal(features.sasl.n + features.sasl2.n + features.others.n, 0);
}

static void test_prefix(void **state)
{
	(void)state;
	read_good("<s:mechanisms "
		  "xmlns:s='urn:ietf:params:xml:ns:xmpp-sasl'><s:mechanism>PLAIN</s:mechanism></"
		  "s:mechanisms>");
	expect_list(&features.sasl, "PLAIN");
}

static void test_bounds(void **state)
{
	char content[8192] = SASL;
	char name[FEATURES_NAME_MAX + 2];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i <= FEATURES_NAMES_MAX; i++) {
		size_t n = strlen(content);

		snprintf(content + n, sizeof(content) - n, "<mechanism>%d%s</mechanism>", i, name);
	}
	strncat(content, "</mechanisms>", sizeof(content) - strlen(content) - 1);
	read_good(content);
	assert_int_equal(features.sasl.n, FEATURES_NAMES_MAX);
	assert_int_equal(features.sasl.n_more, 1);
	assert_int_equal(strlen(features.sasl.names[0]), FEATURES_NAME_MAX);
}

static void test_malformed(void **state)
{
	static const char *const rows[] = {
		"", "<a>", OPEN, OPEN "<a></b>" CLOSE, OPEN "text" CLOSE, OPEN "<!-- -->" CLOSE};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(features_read(sv_from(rows[i]), &features), -EINVAL);
	}
}

static void test_choice(void **state)
{
	static const struct {
		const char *mechanisms; /* a letter for each: see below */
		const char *best;
		size_t n_others;
		bool is_weak;
	} rows[] = {
		{"P", "PLAIN", 0, true},
		{"PL", "PLAIN", 1, true},
		{"AP", "PLAIN", 1, true},
		{"PO", "X-OTHER", 1, false},
		{"A", "ANONYMOUS", 0, false},
		{"P1", "SCRAM-SHA-1", 1, false},
		{"1P2D", "SCRAM-SHA-256", 3, false},
		{"1P2+", "SCRAM-SHA-256", 2, false},
		{"+", NULL, 0, false},
		{"+E", NULL, 0, false},
		{"+P", "PLAIN", 0, true},
		{"", NULL, 0, false},
	};
	static const char *const mechanisms[256] = {
		['P'] = "PLAIN",         ['L'] = "LOGIN",
		['A'] = "ANONYMOUS",     ['O'] = "X-OTHER",
		['D'] = "DIGEST-MD5",    ['1'] = "SCRAM-SHA-1",
		['2'] = "SCRAM-SHA-256", ['+'] = "SCRAM-SHA-512-PLUS",
		['E'] = "EXTERNAL",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char content[1024] = SASL;
		size_t n = strlen(content);

		for (const char *c = rows[i].mechanisms; *c; c++) {
			n += (size_t)snprintf(content + n, sizeof(content) - n,
					      "<mechanism>%s</mechanism>",
					      mechanisms[(unsigned char)*c]);
		}
		snprintf(content + n, sizeof(content) - n, "</mechanisms>");
		read_good(content);
		const char *best = features_best(&features);

		assert_string_equal(best ? best : "none", rows[i].best ? rows[i].best : "none");
		assert_int_equal(features_count_others(&features), rows[i].n_others);
		assert_int_equal(features_are_weak(&features), rows[i].is_weak);
	}
}

/* A mechanism in both kinds of SASL counts once, wherever it stands. */
static void test_both(void **state)
{
	(void)state;
	read_good(SASL "<mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-1</mechanism></"
		       "mechanisms><authentication xmlns='urn:xmpp:sasl:2'>"
		       "<mechanism>SCRAM-SHA-1</mechanism><mechanism>SCRAM-SHA-256</mechanism>"
		       "<mechanism>PLAIN</mechanism></authentication>");
	assert_string_equal(features_best(&features), "SCRAM-SHA-256");
	assert_int_equal(features_count_others(&features), 2);
}

static void test_inner(void **state)
{
	static const struct {
		const char *element, *inner;
	} rows[] = {
		{"<a>b</a>", "b"}, {"<a> b c\n</a>", "b c"},  {"<a/>", ""},
		{"<a></a>", ""},   {"<a><b/>c</a>", "<b/>c"}, {"", ""},
		{"x", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_true(
			sv_eq(features_inner(sv_from(rows[i].element)), sv_from(rows[i].inner)));
	}
}

static int scenario(void *userdata)
{
	(void)userdata;
	return features_read(SV(OPEN SASL "<mechanism>PLAIN</mechanism></mechanisms>" CLOSE),
			     &features);
}

static void test_no_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),  cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_choice), cmocka_unit_test(test_both),
		cmocka_unit_test(test_inner),  cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
