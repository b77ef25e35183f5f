/* SPDX-License-Identifier: MIT */
#include "policy/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A host or an address, with a port. */
static int parse_destination(struct sv text, struct redirect *ret_destination)
{
	int r = redirect_parse(text, ret_destination);

	return r == 0 && ret_destination->port == 0 ? -EINVAL : r;
}

int routes_init(struct routes *routes, const char *const *texts, size_t n, size_t *ret_bad)
{
	struct redirect *list = calloc(n ? n : 1, sizeof(*list));

	if (!list) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int r = parse_destination(sv_from(texts[i]), &list[i]);

		if (r < 0) {
			*ret_bad = i;
			free(list);
			return r;
		}
	}
	*routes = (struct routes){list, n};
	return 0;
}

void routes_deinit(struct routes *routes)
{
	free(routes->list);
	*routes = (struct routes){NULL, 0};
}

static bool is_same(const struct redirect *a, const struct redirect *b)
{
	if (a->port != b->port || strcmp(a->host, b->host) != 0) {
		return false;
	}
	return a->host[0] || address_is_same_host(&a->address, &b->address);
}

/* Whether @destination, whose port may be missing, names nothing but @domain. Returns 0 or
 * -ENOMEM. */
static int judge_default(struct sv destination, const char *domain, bool *ret_is_default)
{
	char ascii[DOMAIN_MAX + 1];
	struct sv trimmed = sv_trim(destination);
	bool has_brackets = sv_starts_with(trimmed, SV("["));
	size_t n_host = has_brackets ? sv_find(trimmed, ']') + 1 : sv_find(trimmed, ':');
	struct sv rest = sv_skip(trimmed, n_host);
	struct sv digits = sv_skip(rest, 1);
	uint64_t port = 0;

	*ret_is_default = false;
	if (rest.n && rest.data[0] != ':') {
		return 0;
	}
	if (digits.n && sv_to_u64(digits, UINT16_MAX, &port) < 0) {
		return 0;
	}
	if (port != 0 && port != ROUTE_PORT_DEFAULT) {
		return 0;
	}
	int r = domain_host_to_ascii(sv_first(trimmed, n_host), ascii);

	*ret_is_default = r == 0 && strcmp(ascii, domain) == 0;
	return r == -ENOMEM ? r : 0;
}

/* Looks @destination up in the list. Returns ROUTE_LISTED, a ROUTE_E_..., or -ENOMEM. */
static int find_listed(const struct routes *routes, struct sv destination,
		       struct redirect *ret_destination)
{
	int r = parse_destination(destination, ret_destination);

	if (r < 0) {
		return r == -EINVAL ? ROUTE_E_MALFORMED : r;
	}
	for (size_t i = 0; i < routes->n; i++) {
		if (is_same(&routes->list[i], ret_destination)) {
			return ROUTE_LISTED;
		}
	}
	return ROUTE_E_REFUSED;
}

int routes_find(const struct routes *routes, struct sv text, const char *domain,
		struct redirect *ret_destination)
{
	static const struct sv protocol = SV_INIT("xmpp:");

	if (!sv_starts_with(text, protocol)) {
		return ROUTE_E_MALFORMED;
	}
	struct sv destination = sv_skip(text, protocol.n);
	/* The list comes first: the operator may have listed the domain itself. */
	int result = find_listed(routes, destination, ret_destination);

	if (result < 0 || result == ROUTE_LISTED) {
		return result;
	}
	bool is_default;
	int r = judge_default(destination, domain, &is_default);

	return r < 0 ? r : is_default ? ROUTE_DEFAULT : result;
}
