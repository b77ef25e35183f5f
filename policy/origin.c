/* SPDX-License-Identifier: MIT */
#include "policy/origin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ascii.h"

/* An origin that a client has sent. */
struct origin {
	struct sv scheme, host;
	uint16_t port; /* 0: the default of the scheme, or none */
};

static bool scheme_is_valid(struct sv scheme)
{
	for (size_t i = 0; i < scheme.n; i++) {
		char c = scheme.data[i];

		if (!ascii_is_alphanumeric(c) && c != '+' && c != '-' && c != '.') {
			return false;
		}
	}
	return scheme.n > 0 && ascii_is_letter(scheme.data[0]);
}

static uint16_t default_port(struct sv scheme)
{
	if (sv_eq_nocase(scheme, SV("https"))) {
		return 443;
	}
	return sv_eq_nocase(scheme, SV("http")) ? 80 : 0;
}

/* Splits @text at "://". */
static bool split_scheme(struct sv text, struct sv *ret_scheme, struct sv *ret_authority)
{
	size_t n = sv_find_sv(text, SV("://"));

	*ret_scheme = sv_first(text, n);
	*ret_authority = sv_skip(text, n + strlen("://"));
	return text.n <= ORIGIN_LENGTH_MAX && n < text.n && scheme_is_valid(*ret_scheme);
}

static bool origin_parse(struct sv text, struct origin *ret_origin)
{
	struct sv authority;

	if (!split_scheme(text, &ret_origin->scheme, &authority) ||
	    !host_split(authority, &ret_origin->host, &ret_origin->port)) {
		return false;
	}
	if (ret_origin->port == default_port(ret_origin->scheme)) {
		ret_origin->port = 0;
	}
	return true;
}

/* Removes ":*" or a port from @authority. Returns false if the port is not valid. */
static bool split_port(struct sv *authority, struct origin_pattern *pattern)
{
	size_t n = authority->n;
	uint64_t port;

	while (n && authority->data[n - 1] != ':' && authority->data[n - 1] != ']') {
		n--;
	}
	if (n == 0 || authority->data[n - 1] == ']') {
		return true;
	}
	struct sv text = sv_skip(*authority, n);

	pattern->allows_any_port = sv_eq(text, SV("*"));
	if (!pattern->allows_any_port) {
		if (sv_to_u64(text, UINT16_MAX, &port) < 0 || port == 0) {
			return false;
		}
		pattern->port = (uint16_t)port;
	}
	*authority = sv_first(*authority, n - 1);
	return true;
}

static void pattern_deinit(struct origin_pattern *pattern)
{
	free(pattern->scheme);
	host_pattern_deinit(&pattern->host);
}

static int pattern_init(struct origin_pattern *pattern, struct sv text)
{
	struct origin_pattern made = {0};
	struct sv scheme, authority;

	if (!split_scheme(text, &scheme, &authority) || !split_port(&authority, &made)) {
		return -EINVAL;
	}
	if (made.port == default_port(scheme)) {
		made.port = 0;
	}
	int r = host_pattern_init(&made.host, authority);

	if (r < 0) {
		return r;
	}
	made.scheme = strndup(scheme.data, scheme.n);
	if (!made.scheme) {
		pattern_deinit(&made);
		return -ENOMEM;
	}
	for (char *c = made.scheme; *c; c++) {
		*c = ascii_lower(*c);
	}
	*pattern = made;
	return 0;
}

int origin_list_init(struct origin_list *list, const char *const *texts, size_t n, size_t *ret_bad)
{
	struct origin_list made = {.patterns = calloc(n ? n : 1, sizeof(*made.patterns))};

	if (!made.patterns) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		if (sv_eq(sv_from(texts[i]), SV("*"))) {
			made.allows_any = true;
			continue;
		}
		int r = pattern_init(&made.patterns[made.n_patterns], sv_from(texts[i]));

		if (r < 0) {
			origin_list_deinit(&made);
			*ret_bad = i;
			return r;
		}
		made.n_patterns++;
	}
	*list = made;
	return 0;
}

void origin_list_deinit(struct origin_list *list)
{
	for (size_t i = 0; i < list->n_patterns; i++) {
		pattern_deinit(&list->patterns[i]);
	}
	free(list->patterns);
	*list = (struct origin_list){0};
}

static bool pattern_matches(const struct origin_pattern *pattern, const struct origin *origin)
{
	return sv_eq_nocase(origin->scheme, sv_from(pattern->scheme)) &&
	       (pattern->allows_any_port || origin->port == pattern->port) &&
	       host_pattern_matches(&pattern->host, origin->host);
}

static void origin_write(const struct origin *origin, char ret_text[static ORIGIN_LENGTH_MAX + 1])
{
	int n = snprintf(ret_text, ORIGIN_LENGTH_MAX + 1, "%.*s://%.*s", SV_ARGS(origin->scheme),
			 SV_ARGS(origin->host));

	if (origin->port) {
		snprintf(ret_text + n, ORIGIN_LENGTH_MAX + 1 - (size_t)n, ":%u", origin->port);
	}
	for (char *c = ret_text; *c; c++) {
		*c = ascii_lower(*c);
	}
}

enum origin_verdict origin_list_judge(const struct origin_list *list, struct sv origin,
				      char ret_text[static ORIGIN_LENGTH_MAX + 1])
{
	struct origin parsed;

	ret_text[0] = '\0';
	if (origin.n == 0) {
		return ORIGIN_ABSENT;
	}
	if (origin_parse(origin, &parsed)) {
		for (size_t i = 0; i < list->n_patterns; i++) {
			if (pattern_matches(&list->patterns[i], &parsed)) {
				origin_write(&parsed, ret_text);
				return ORIGIN_LISTED;
			}
		}
	}
	return list->allows_any ? ORIGIN_ANY : ORIGIN_REFUSED;
}
