/* SPDX-License-Identifier: MIT */
#include "policy/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/ascii.h"
#include "policy/domain.h"

enum {
	HOST_LABEL_MAX = 63, /* RFC 1035 */
	HOST_V6_MIN = sizeof("[::]") - 1,
};

static bool label_is_valid(struct sv label)
{
	for (size_t i = 0; i < label.n; i++) {
		char c = label.data[i];

		if (!ascii_is_alphanumeric(c) && c != '-' && c != '_') {
			return false;
		}
	}
	return label.n > 0 && label.n <= HOST_LABEL_MAX;
}

static bool name_is_valid(struct sv name)
{
	struct sv rest = name;

	for (size_t n; (n = sv_find(rest, '.')) < rest.n; rest = sv_skip(rest, n + 1)) {
		if (!label_is_valid(sv_first(rest, n))) {
			return false;
		}
	}
	return label_is_valid(rest) && name.n <= HOST_LENGTH_MAX;
}

/* Reads the address between the brackets of @host. */
static bool v6_read(struct sv host, struct in6_addr *ret_address)
{
	char text[INET6_ADDRSTRLEN];

	if (host.n < HOST_V6_MIN || host.data[0] != '[' || host.data[host.n - 1] != ']' ||
	    host.n - 2 >= sizeof(text) || memchr(host.data, '\0', host.n)) {
		return false;
	}
	size_t n = host.n - 2;

	memcpy(text, host.data + 1, n);
	text[n] = '\0';
	return inet_pton(AF_INET6, text, ret_address) == 1;
}

static bool is_v6(struct sv host)
{
	struct in6_addr address;

	return v6_read(host, &address);
}

static bool is_v4(struct sv host)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	if (host.n >= sizeof(text)) {
		return false;
	}
	memcpy(text, host.data, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, &address) == 1;
}

bool host_split(struct sv authority, struct sv *ret_host, uint16_t *ret_port)
{
	struct sv host = authority;
	uint64_t port = 0;
	size_t n = authority.n;

	while (n && ascii_is_digit(authority.data[n - 1])) {
		n--;
	}
	if (n && authority.data[n - 1] == ':') {
		if (sv_to_u64(sv_skip(authority, n), UINT16_MAX, &port) < 0 || port == 0) {
			return false;
		}
		host = sv_first(authority, n - 1);
	}
	if (!name_is_valid(host) && !is_v6(host)) {
		return false;
	}
	*ret_host = host;
	*ret_port = (uint16_t)port;
	return true;
}

/* Patterns. */

static bool is_ascii(struct sv text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.data[i] >= 0x80) {
			return false;
		}
	}
	return true;
}

/* Browsers take a name for an IPv4 address if its last label is a number. */
static bool ends_with_number(struct sv name)
{
	size_t n = name.n;

	while (n && name.data[n - 1] != '.') {
		n--;
	}
	return ascii_is_digit(name.data[n]);
}

static int copy(struct sv text, char **ret_copy)
{
	char *made = malloc(text.n + 1);

	if (!made) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < text.n; i++) {
		made[i] = ascii_lower(text.data[i]);
	}
	made[text.n] = '\0';
	*ret_copy = made;
	return 0;
}

static int copy_v6(struct sv text, char **ret_copy)
{
	char formatted[INET6_ADDRSTRLEN + sizeof("[]")];
	char plain[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (!v6_read(text, &address) || !inet_ntop(AF_INET6, &address, plain, sizeof(plain))) {
		return -EINVAL;
	}
	/* Browsers write such an address without dots. */
	if (strchr(plain, '.')) {
		return -EINVAL;
	}
	snprintf(formatted, sizeof(formatted), "[%s]", plain);
	return copy(sv_from(formatted), ret_copy);
}

int host_pattern_init(struct host_pattern *pattern, struct sv text)
{
	char ascii[DOMAIN_MAX + 1];
	bool is_wildcard = sv_starts_with(text, SV("*."));
	int r;

	if (!is_wildcard && sv_starts_with(text, SV("["))) {
		pattern->is_wildcard = false;
		return copy_v6(text, &pattern->name);
	}
	text = sv_skip(text, is_wildcard ? strlen("*.") : 0);
	if (!is_ascii(text)) {
		r = domain_to_ascii(text, ascii);
		if (r < 0) {
			return r;
		}
		text = sv_from(ascii);
	}
	if (!name_is_valid(text) || (is_wildcard && ends_with_number(text))) {
		return -EINVAL;
	}
	pattern->is_wildcard = is_wildcard;
	return copy(text, &pattern->name);
}

void host_pattern_deinit(struct host_pattern *pattern)
{
	free(pattern->name);
	pattern->name = NULL;
}

/* Whether @host is below @name. */
static bool is_below(struct sv host, struct sv name)
{
	if (host.n < name.n + 2) {
		return false;
	}
	size_t n = host.n - name.n;

	return host.data[n - 1] == '.' && sv_eq_nocase(sv_skip(host, n), name);
}

bool host_pattern_matches(const struct host_pattern *pattern, struct sv host)
{
	struct sv name = sv_from(pattern->name);

	return pattern->is_wildcard ? is_below(host, name) : sv_eq_nocase(host, name);
}

int host_list_init(struct host_list *list, const char *const *texts, size_t n, size_t *ret_bad)
{
	struct host_list made = {.patterns = calloc(n ? n : 1, sizeof(*made.patterns))};

	if (!made.patterns) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int r = host_pattern_init(&made.patterns[i], sv_from(texts[i]));

		if (r < 0) {
			host_list_deinit(&made);
			*ret_bad = i;
			return r;
		}
		made.n_patterns++;
	}
	*list = made;
	return 0;
}

void host_list_deinit(struct host_list *list)
{
	for (size_t i = 0; i < list->n_patterns; i++) {
		host_pattern_deinit(&list->patterns[i]);
	}
	free(list->patterns);
	*list = (struct host_list){0};
}

static bool is_fixed(struct sv host)
{
	return is_v6(host) || is_v4(host) || sv_eq_nocase(host, SV("localhost")) ||
	       is_below(host, SV("localhost"));
}

bool host_list_owns(const struct host_list *list, struct sv authority)
{
	struct sv host;
	uint16_t port;

	if (!host_split(authority, &host, &port)) {
		return false;
	}
	for (size_t i = 0; i < list->n_patterns; i++) {
		if (host_pattern_matches(&list->patterns[i], host)) {
			return true;
		}
	}
	return is_fixed(host);
}
