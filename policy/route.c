/* SPDX-License-Identifier: MIT */
#include "policy/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A host, or an address, and a port. */
static int parse_place(struct sv text, struct redirect *ret_place)
{
	int r = redirect_parse(text, ret_place);

	return r == 0 && ret_place->port == 0 ? -EINVAL : r;
}

int routes_init(struct routes *routes, const char *const *texts, size_t n, size_t *ret_bad)
{
	struct redirect *list = calloc(n ? n : 1, sizeof(*list));

	if (!list) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int r = parse_place(sv_from(texts[i]), &list[i]);

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
	return a->host[0] || address_same_host(&a->address, &b->address);
}

int routes_find(const struct routes *routes, struct sv text, struct redirect *ret_place)
{
	static const struct sv protocol = {"xmpp:", sizeof("xmpp:") - 1};

	if (!sv_starts_with(text, protocol)) {
		return -EINVAL;
	}
	int r = parse_place(sv_skip(text, protocol.n), ret_place);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < routes->n; i++) {
		if (is_same(&routes->list[i], ret_place)) {
			return 0;
		}
	}
	return -EACCES;
}
