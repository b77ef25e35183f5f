/* SPDX-License-Identifier: MIT */
/* --dump, and the suggestions for mistyped words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/config/similar.h"
#include "tests/unit/gateway/config/config-case.h"

/* What --dump prints for @text, with a NUL. The caller frees it. */
static char *dump_of(const char *text)
{
	struct buffer dump = BUFFER_INIT;
	FILE *errors = fopen("/dev/null", "w");
	FILE *file = fopen(config_path, "w");

	assert_non_null(errors);
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	if (config_dump(config_path, errors, &dump) != 0) {
		fail_msg("refused: %s", text);
	}
	fclose(errors);
	assert_int_equal(buffer_append(&dump, "", 1), 0);
	return dump.data;
}

static void assert_same_numbers(const struct config *a, const struct config *b)
{
	assert_int_equal(a->listen.n, b->listen.n);
	assert_int_equal(a->listens_by_default, b->listens_by_default);
	assert_int_equal(a->listeners.n, b->listeners.n);
	assert_int_equal(a->n_workers, b->n_workers);
	assert_string_equal(a->bosh_path, b->bosh_path);
	assert_string_equal(a->see_other_uri, b->see_other_uri);
	assert_int_equal(a->log_level, b->log_level);
	assert_int_equal(a->proxies.n, b->proxies.n);
	assert_memory_equal(&a->limits, &b->limits, sizeof(a->limits));
	assert_memory_equal(&a->budget, &b->budget, sizeof(a->budget));
	assert_memory_equal(&a->foreign_budget, &b->foreign_budget, sizeof(a->foreign_budget));
	assert_int_equal(a->wait_s, b->wait_s);
	assert_int_equal(a->inactivity_s, b->inactivity_s);
	assert_int_equal(a->coding, b->coding);
	assert_int_equal(a->session_bound_to_address, b->session_bound_to_address);
	assert_int_equal(a->domains.n_rules, b->domains.n_rules);
	for (size_t i = 0; i < a->domains.n_rules; i++) {
		const struct domain_rule *x = &a->domains.rules[i];
		const struct domain_rule *y = &b->domains.rules[i];

		assert_string_equal(x->name, y->name);
		assert_int_equal(x->is_pattern, y->is_pattern);
		assert_int_equal(x->n_connect, y->n_connect);
		assert_int_equal(x->tls, y->tls);
		assert_int_equal(x->n_pins, y->n_pins);
		assert_int_equal(x->max_sessions, y->max_sessions);
		assert_int_equal(x->deny, y->deny);
		assert_int_equal(x->egress.kind, y->egress.kind);
		assert_int_equal(x->egress_resolves, y->egress_resolves);
		assert_int_equal(x->sources.n, y->sources.n);
	}
	for (size_t i = 0; i < a->listeners.n; i++) {
		assert_string_equal(a->listeners.list[i].name, b->listeners.list[i].name);
		assert_int_equal(a->listeners.list[i].mode, b->listeners.list[i].mode);
		assert_int_equal(a->listeners.list[i].allow.n, b->listeners.list[i].allow.n);
		assert_int_equal(a->listeners.list[i].tls.is_on, b->listeners.list[i].tls.is_on);
	}
}

/* What is dumped means the same as @text, and is dumped as the same. */
static void check_round(const char *text)
{
	struct config *before = NULL;
	char *dump = dump_of(text);
	char *again = dump_of(dump);

	assert_int_equal(read_text(text, &before), 0);
	struct config *after = made(dump);

	assert_string_equal(dump, again);
	assert_same_numbers(before, after);
	config_unref(before);
	config_unref(after);
	free(dump);
	free(again);
}

static void test_there_and_back(void **state)
{
	static const char *const texts[] = {
		"",
		"listen = {\"127.0.0.1:5280\", \"[::1]:5280\"}\n",
		"bind_address = true\n",
		"trusted_proxies += {\"10.0.0.1\"}\nlisten += {\"192.0.2.1\"}\n",
		("domain \"*\" { deny = true }\ndomain \"b\xc3\xbc"
		 "cher.example\" {\n tls = off\n}\n"),
		"listener unix:/a { mode = 0600 }\nlistener \"fd:it's a \\\"\\\\name\\\"\" { }\n",
		"listener 'fd:${x}' { }\nlistener 'fd:\\'${x}\\\\' { allow = {\"::1\"} }\n",
		"allow_origins = {}\nlog_level = debug\ncompression = yes\n",
		"workers = 3\nlogin_bytes = 70000\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		check_round(texts[i]);
	}
}

/* A file of settings and sections chosen by @seed. */
static void random_file(unsigned seed, char *ret_text, size_t n)
{
	static const char *const lines[] = {
		"workers = 7\n",
		"wait = 0\n",
		"inactivity = 3600\n",
		"log_level = 'error'\n",
		"see_other_uri = \"https://a.example/b?c=d&e\"\n",
		"allow_origins = {\"https://a.example\", http://b.example:8080}\n",
		"trusted_proxies = {\"10.0.0.0/8\", \"2001:db8::/32\"}\n",
		"resolvers = {\"[::1]\", 127.0.0.1:5300,}\n",
		"allowed_ports = {\"1-2\"}\n",
		"compression = On\n",
		"listen = 192.0.2.1:1\n",
		"max_sessions = 1\n",
		"limits { login_timeout = 9 session_rate = 1/2 }\n",
		"domain a.example { connect = {\"192.0.2.1\", \"[::1]:1\"} proxy_protocol = v2 }\n",
		"source_address = {\"::1\"}\n"
		"domain b.example { proxy = \"http://a:%40@b:1\" proxy_dns = true "
		"source_address = {\"::\", 192.0.2.1} }\n",
		"domain \"*.example\" { max_sessions = 9 tls = \"direct\" allow_private = yes }\n",
		"domain localhost { gone = true }\n",
		"listener 192.0.2.9 { backlog = 1 nodelay = no deny = {192.0.2.8} }\n",
		"listener unix:/tmp/a\\b { proxy_protocol = v1 }\n",
	};

	size_t n_text = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		seed = seed * 1103515245 + 12345;
		if (seed >> 16 & 1) {
			n_text += (size_t)snprintf(ret_text + n_text, n - n_text, "%s", lines[i]);
			assert_true(n_text < n);
		}
	}
}

static void test_random_files(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 50; seed++) {
		char text[2048];

		random_file(seed, text, sizeof(text));
		check_round(text);
	}
}

/* Every key is there, old names and includes are not. */
static void test_contents(void **state)
{
	char *dump = dump_of("bind_address = yes # here\nwait = 5\n"
			     "domain A.example { tls = off }\n");

	(void)state;
	assert_non_null(strstr(dump, "\nsession_bound_to_address = yes\n"));
	assert_null(strstr(dump, "bind_address"));
	assert_null(strstr(dump, "include"));
	assert_non_null(strstr(dump, "#listen = {\"127.0.0.1:5280\", \"[::1]:5280\"}\n"));
	assert_non_null(strstr(dump, "\nwait = 5\n"));
	assert_non_null(strstr(dump, "\nhold = 1\n"));
	assert_non_null(strstr(dump, "\ndomain \"A.example\" {\n\tconnect = {}\n"
				     "\tname_form = \"unicode\"\n\ttls = \"off\"\n"));
	free(dump);
}

static void test_similar(void **state)
{
	static const struct {
		const char *word, *name;
		bool is_similar;
	} rows[] = {
		{"wiat", "wait", true},
		{"wait", "wait", true},
		{"wit", "wait", true},
		{"waits", "wait", true},
		{"wbit", "wait", true},
		{"iwta", "wait", false},
		{"tsl", "tls", true},
		{"ten", "tls", false},
		{"", "tls", false},
		{"x", "a", false},
		{"connection_timeout", "connect_timeout", true},
		{"max_session_per_adress", "sessions_per_address", true},
		{"nonsense", "allow_origins", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct similar similar = similar_init(sv_from(rows[i].word));

		similar_offer(&similar, rows[i].name);
		if ((similar.name != NULL) != rows[i].is_similar) {
			fail_msg("'%s' and '%s': %zu", rows[i].word, rows[i].name,
				 similar.distance);
		}
	}
	/* The nearest one wins, and of two the first. */
	struct similar similar = similar_init(SV("holt"));

	similar_offer(&similar, "bolt");
	similar_offer(&similar, "hold");
	assert_string_equal(similar.name, "bolt");
	similar_offer(&similar, "holt");
	assert_string_equal(similar.name, "holt");
	/* Long words are not compared: the rows have room for forty letters. */
	char word[42];

	memset(word, 'a', sizeof(word));
	word[41] = '\0';
	similar = similar_init(sv_from(word));
	similar_offer(&similar, word);
	assert_null(similar.name);
	similar = similar_init(sv_from(word + 1));
	similar_offer(&similar, word + 1);
	assert_non_null(similar.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_random_files),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_similar),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
