/* SPDX-License-Identifier: MIT */
#include "policy/ports.h"

#include <errno.h>
#include <stdlib.h>

#include "common/sv.h"

static int port_parse(struct sv text, uint16_t *ret_port)
{
	uint64_t port;
	int r = sv_to_u64(text, UINT16_MAX, &port);

	if (r < 0 || port == 0) {
		return -EINVAL;
	}
	*ret_port = (uint16_t)port;
	return 0;
}

static int range_parse(struct sv text, struct ports_range *ret_range)
{
	size_t n_first = sv_find(text, '-');
	struct ports_range range = {0};
	int r = port_parse(sv_first(text, n_first), &range.first);

	range.last = range.first;
	if (r == 0 && n_first < text.n) {
		r = port_parse(sv_skip(text, n_first + 1), &range.last);
	}
	if (r < 0 || range.last < range.first) {
		return -EINVAL;
	}
	*ret_range = range;
	return 0;
}

int ports_init(struct ports *ports, const char *const *texts, size_t n, size_t *ret_bad)
{
	struct ports_range *ranges = calloc(n ? n : 1, sizeof(*ranges));

	if (!ranges) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int r = range_parse(sv_from(texts[i]), &ranges[i]);

		if (r < 0) {
			free(ranges);
			*ret_bad = i;
			return r;
		}
	}
	*ports = (struct ports){ranges, n};
	return 0;
}

void ports_deinit(struct ports *ports)
{
	free(ports->ranges);
	*ports = (struct ports){0};
}

bool ports_allow(const struct ports *ports, uint16_t port)
{
	for (size_t i = 0; i < ports->n_ranges; i++) {
		if (port >= ports->ranges[i].first && port <= ports->ranges[i].last) {
			return true;
		}
	}
	return false;
}
