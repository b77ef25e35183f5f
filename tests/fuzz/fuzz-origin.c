/* SPDX-License-Identifier: MIT */
/*
 * policy/origin.h, policy/host.h and policy/cors.h. The input is an Origin, a Host, names of
 * headers (Access-Control-Request-Headers), and the operator's list, a line for each. What is
 * written into an answer has no byte that means something there, and is judged as before. An origin
 * on no list is refused.
 *
 * covers: policy/origin.c policy/host.c policy/cors.c
 */
#include "tests/fuzz/fuzz.h"

#include "policy/cors.h"
#include "policy/origin.h"

enum {
	PATTERNS_MAX = 8,
};

static void check_origin(const struct origin_list *list, struct sv origin)
{
	char text[ORIGIN_LENGTH_MAX + 1], again[ORIGIN_LENGTH_MAX + 1];
	enum origin_verdict verdict = origin_list_judge(list, origin, text);

	FUZZ_CHECK((verdict == ORIGIN_LISTED) == (text[0] != '\0'));
	FUZZ_CHECK((verdict == ORIGIN_ABSENT) == (origin.n == 0));
	FUZZ_CHECK(verdict != ORIGIN_ANY || list->allows_any);
	FUZZ_CHECK(verdict != ORIGIN_LISTED || list->n_patterns);
	FUZZ_CHECK(strlen(text) <= ORIGIN_LENGTH_MAX);
	FUZZ_CHECK(strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789:/.-_+[]") == strlen(text));
	if (verdict == ORIGIN_LISTED) {
		FUZZ_CHECK(origin_list_judge(list, sv_from(text), again) == ORIGIN_LISTED);
		FUZZ_CHECK(strcmp(text, again) == 0);
		FUZZ_CHECK(!sv_eq_nocase(origin, SV("null")));
	}
}

static void check_host(struct sv authority)
{
	struct host_pattern pattern;
	struct sv host;
	uint16_t port;

	if (!host_split(authority, &host, &port)) {
		return;
	}
	FUZZ_CHECK(host.n > 0 && host.n <= HOST_LENGTH_MAX && host.n <= authority.n);
	FUZZ_CHECK(sv_find(host, '/') == host.n && sv_find(host, '@') == host.n);
	/* A host is a pattern that matches itself, where the operator may write it. */
	if (host_pattern_init(&pattern, host) == 0) {
		FUZZ_CHECK(host_pattern_matches(&pattern, host) || host.data[0] == '[');
		host_pattern_deinit(&pattern);
	}
}

static bool is_token(struct sv name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.data[i] <= ' ' || name.data[i] > '~' ||
		    memchr("\"(),/:;<=>?@[\\]{}", name.data[i], 17)) {
			return false;
		}
	}
	return name.n > 0;
}

static void check_cors(struct sv asked)
{
	char list[CORS_HEADERS_LENGTH_MAX + 1], again[CORS_HEADERS_LENGTH_MAX + 1];
	struct sv rest, name;
	size_t n = 0;

	if (!cors_headers_judge(asked, list)) {
		FUZZ_CHECK(list[0] == '\0');
		return;
	}
	rest = sv_from(list);
	FUZZ_CHECK(rest.n > 0 && rest.n <= CORS_HEADERS_LENGTH_MAX);
	while (sv_split(&rest, ',', &name)) {
		FUZZ_CHECK(is_token(name) && n++ < CORS_HEADERS_MAX);
	}
	FUZZ_CHECK(cors_headers_judge(sv_from(list), again) && strcmp(list, again) == 0);
}

/* Returns the number of patterns. */
static size_t read_patterns(struct sv input, char *patterns[PATTERNS_MAX])
{
	size_t n = 0;

	while (input.n && n < PATTERNS_MAX) {
		patterns[n++] = fuzz_string(fuzz_part(&input, '\n'));
	}
	return n;
}

void fuzz_one(struct sv input)
{
	struct sv origin = fuzz_part(&input, '\n'), host = fuzz_part(&input, '\n');
	struct sv asked = fuzz_part(&input, '\n');
	char *patterns[PATTERNS_MAX];
	size_t n = read_patterns(input, patterns), bad = SIZE_MAX;
	struct origin_list list = {0};
	struct host_list hosts = {0};
	int r = origin_list_init(&list, (const char *const *)patterns, n, &bad);

	FUZZ_CHECK(r == 0 || bad < n);
	if (r == 0) {
		check_origin(&list, origin);
		origin_list_deinit(&list);
	}
	r = host_list_init(&hosts, (const char *const *)patterns, n, &bad);
	FUZZ_CHECK(r == 0 || bad < n);
	if (r == 0) {
		(void)host_list_owns(&hosts, host);
		host_list_deinit(&hosts);
	}
	check_host(host);
	check_cors(asked);
	while (n > 0) {
		free(patterns[--n]);
	}
}
