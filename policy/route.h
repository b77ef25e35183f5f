/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where a BOSH client says that its server is: `route` (XEP-0124, "Session Creation Request"). By default that is refused, for it would
 * let any client choose whom the gateway calls; an operator may list the places that may be named.
 *
 * route  "xmpp:host:port"
 */
#include <stddef.h>

#include "policy/redirect.h"

struct routes {
	struct redirect *list; /* owned */
	size_t n;
};

/* From texts as in "host:port". Returns 0, -ENOMEM, or -EINVAL with *ret_bad the index of the first text that is no such. */
_must_check_ int routes_init(struct routes *routes, const char *const *texts, size_t n, size_t *ret_bad);
void routes_deinit(struct routes *routes);

/* Reads @text. Returns 0 with the place when it is in the list, -EINVAL when it is no route, -EACCES when it is not in the list, or
 * -ENOMEM. The policies for addresses and ports still have to be asked. */
_must_check_ int routes_find(const struct routes *routes, struct sv text, struct redirect *ret_place);
