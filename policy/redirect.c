/* SPDX-License-Identifier: MIT */
#include "policy/redirect.h"

#include <errno.h>
#include <string.h>

/* @rest is what follows the host. */
static int port_parse(struct sv rest, uint16_t *ret_port)
{
	uint64_t port = 0;

	if (rest.n) {
		if (rest.data[0] != ':' || sv_to_u64(sv_skip(rest, 1), UINT16_MAX, &port) < 0 ||
		    port == 0) {
			return -EINVAL;
		}
	}
	*ret_port = (uint16_t)port;
	return 0;
}

/* @text begins with a bracket. */
static int literal_parse(struct sv text, struct address *ret_address)
{
	bool is_v6 = sv_has(text, ':') && !sv_has(text, '%');

	return is_v6 ? address_parse(text, 0, ret_address) : -EINVAL;
}

int redirect_parse(struct sv text, struct redirect *ret_redirect)
{
	struct redirect redirect = {.port = 0};
	struct sv trimmed = sv_trim(text);
	bool is_literal = sv_starts_with(trimmed, SV("["));
	size_t n_host = is_literal ? sv_find(trimmed, ']') + 1 : sv_find(trimmed, ':');
	struct sv host = sv_first(trimmed, n_host);
	int r = port_parse(sv_skip(trimmed, n_host), &redirect.port);

	if (r < 0) {
		return r;
	}
	if (is_literal) {
		r = literal_parse(host, &redirect.address);
	} else if (address_parse(host, 0, &redirect.address) < 0) {
		r = domain_to_ascii(host, redirect.host);
	}
	if (r < 0) {
		return r;
	}
	if (!redirect.host[0]) {
		address_set_port(&redirect.address, redirect.port);
	}
	*ret_redirect = redirect;
	return 0;
}
