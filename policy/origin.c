/* SPDX-License-Identifier: MIT */
#include "policy/origin.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* A scheme, "://", a domain name and a port. A longer text is not an origin. */
	ORIGIN_MAX = 320,
};

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_alnum(char c)
{
	c = to_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool consists_of(struct sv view, const char *others)
{
	for (size_t i = 0; i < view.n; i++) {
		if (!is_alnum(view.data[i]) &&
		    (view.data[i] == '\0' || !strchr(others, view.data[i]))) {
			return false;
		}
	}
	return view.n > 0;
}

static bool scheme_is_valid(struct sv scheme)
{
	return consists_of(scheme, "+-.") && to_lower(scheme.data[0]) >= 'a';
}

/* A name in A-labels, an IPv4 address, or an IPv6 address in brackets. */
static bool host_is_valid(struct sv host)
{
	if (host.n && host.data[0] == '[') {
		struct sv inner = {host.data + 1, host.n - 1};

		if (inner.n < 3 || inner.data[inner.n - 1] != ']') {
			return false;
		}
		inner.n--;
		return consists_of(inner, ":.") && sv_find(inner, ':') < inner.n;
	}
	return consists_of(host, "-._");
}

/* Removes the port from @authority; *ret_port is 0 when there is none. */
static bool split_port(struct sv *authority, uint64_t *ret_port)
{
	size_t n_host = authority->n;

	*ret_port = 0;
	while (n_host && authority->data[n_host - 1] != ':' && authority->data[n_host - 1] != ']') {
		n_host--;
	}
	if (n_host == 0 || authority->data[n_host - 1] == ']') {
		return true;
	}
	if (sv_to_u64(sv_skip(*authority, n_host), UINT16_MAX, ret_port) < 0 || *ret_port == 0) {
		return false;
	}
	authority->n = n_host - 1;
	return true;
}

static bool is_default_port(struct sv scheme, uint64_t port)
{
	return (port == 443 && sv_eq_nocase(scheme, SV("https"))) ||
	       (port == 80 && sv_eq_nocase(scheme, SV("http")));
}

/* The length of the origin as a browser writes it, without the default port of the scheme; 0 when
 * @text is not an origin. "null" is not one: every sandboxed frame of every page sends it. */
static size_t origin_length(struct sv text)
{
	size_t n_scheme = sv_find_sv(text, SV("://"));
	struct sv scheme = sv_first(text, n_scheme);
	struct sv authority = sv_skip(text, n_scheme + strlen("://"));
	uint64_t port;

	if (text.n > ORIGIN_MAX || n_scheme == text.n || !scheme_is_valid(scheme)) {
		return 0;
	}
	if (!split_port(&authority, &port) || !host_is_valid(authority)) {
		return 0;
	}
	if (is_default_port(scheme, port)) {
		return (size_t)(authority.data + authority.n - text.data);
	}
	return text.n;
}

static int origin_add(struct origin_list *list, struct sv text)
{
	size_t n = origin_length(text);
	char *origin;

	if (n == 0) {
		return -EINVAL;
	}
	origin = malloc(n + 1);
	if (!origin) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		origin[i] = to_lower(text.data[i]);
	}
	origin[n] = '\0';
	list->origins[list->n_origins++] = origin;
	return 0;
}

int origin_list_init(struct origin_list *list, const char *const *texts, size_t n, size_t *ret_bad)
{
	struct origin_list made = {0};
	int r = 0;

	made.origins = calloc(n ? n : 1, sizeof(*made.origins));
	if (!made.origins) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		struct sv text = sv_from(texts[i]);

		if (sv_eq(text, SV("*"))) {
			made.any = true;
			continue;
		}
		r = origin_add(&made, text);
		if (r == -EINVAL) {
			*ret_bad = i;
		}
	}
	if (r < 0) {
		origin_list_deinit(&made);
		return r;
	}
	if (made.any) {
		origin_list_deinit(&made);
		made.any = true;
	}
	*list = made;
	return 0;
}

void origin_list_deinit(struct origin_list *list)
{
	for (size_t i = 0; i < list->n_origins; i++) {
		free(list->origins[i]);
	}
	free(list->origins);
	*list = (struct origin_list){0};
}

static const char *list_find(const struct origin_list *list, struct sv origin)
{
	for (size_t i = 0; i < list->n_origins; i++) {
		if (sv_eq_nocase(origin, sv_from(list->origins[i]))) {
			return list->origins[i];
		}
	}
	return NULL;
}

bool origin_list_allows(const struct origin_list *list, struct sv origin)
{
	return list->any || origin.n == 0 || list_find(list, origin);
}

const char *origin_list_header(const struct origin_list *list, struct sv origin)
{
	return list->any ? "*" : list_find(list, origin);
}
