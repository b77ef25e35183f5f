/* SPDX-License-Identifier: MIT */
#include "policy/networks.h"

#include <errno.h>
#include <stdlib.h>

#include "common/array.h"

/* Compared as bytes. */
struct networks_entry {
	unsigned char is_v6;
	unsigned char n_bits;
	unsigned char bytes[16]; /* zero beyond the prefix */
};

void networks_deinit(struct networks *networks)
{
	free(networks->entries);
	*networks = (struct networks){0};
}

static struct networks_entry entry_of(const struct address *address, unsigned n_bits)
{
	struct networks_entry entry = {.n_bits = (unsigned char)n_bits};

	if (address->any.sa_family == AF_INET6) {
		entry.is_v6 = 1;
		memcpy(entry.bytes, &address->v6.sin6_addr, 16);
	} else {
		memcpy(entry.bytes, &address->v4.sin_addr, 4);
	}
	for (unsigned i = n_bits; i < NETWORKS_BITS_MAX; i++) {
		entry.bytes[i / 8] &= (unsigned char)~(0x80 >> i % 8);
	}
	return entry;
}

int networks_add(struct networks *networks, const struct network *network)
{
	struct networks_entry entry = entry_of(&network->address, network->n_bits);

	struct networks_entry *entries = array_grow(networks->entries, networks->n, sizeof(entry));

	if (!entries) {
		return -ENOMEM;
	}
	networks->entries = entries;
	networks->entries[networks->n++] = entry;
	(entry.is_v6 ? networks->has_v6 : networks->has_v4)[entry.n_bits] = true;
	return 0;
}

int networks_add_list(struct networks *networks, struct sv list, unsigned *ret_line)
{
	unsigned n_line = 0;
	struct sv line;

	while (sv_split(&list, '\n', &line)) {
		struct network network;

		n_line++;
		line = sv_first(line, sv_find(line, '#'));
		line = sv_trim(sv_first(line, sv_find(line, ';')));
		if (line.n == 0) {
			continue;
		}
		int r = network_parse(line, &network);

		if (r < 0) {
			*ret_line = n_line;
			return r;
		}
		r = networks_add(networks, &network);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int entry_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct networks_entry));
}

void networks_seal(struct networks *networks)
{
	if (networks->n) {
		qsort(networks->entries, networks->n, sizeof(*networks->entries), entry_compare);
	}
}

int networks_match(const struct networks *networks, const struct address *address)
{
	const bool *has = address->any.sa_family == AF_INET6 ? networks->has_v6 : networks->has_v4;

	for (int n_bits = NETWORKS_BITS_MAX; networks->n && n_bits >= 0; n_bits--) {
		if (has[n_bits]) {
			struct networks_entry key = entry_of(address, (unsigned)n_bits);

			if (bsearch(&key, networks->entries, networks->n, sizeof(key),
				    entry_compare)) {
				return n_bits;
			}
		}
	}
	return -1;
}

bool networks_admit(const struct networks *allowed, const struct networks *denied,
		    const struct address *address)
{
	int n_allowed = networks_match(allowed, address);
	int n_denied = networks_match(denied, address);

	return n_allowed > n_denied || (n_denied < 0 && allowed->n == 0);
}
