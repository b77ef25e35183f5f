/* SPDX-License-Identifier: MIT */
/*
 * policy/networks.h and the addresses of common/address.h. The input is a list of networks, and
 * behind a line "-" addresses, one a line. The set answers as a search through all networks does.
 * Whatever is read is written and read again as the same.
 *
 * covers: policy/networks.c common/address.c policy/public.c
 */
#include "tests/fuzz/fuzz.h"

#include "policy/networks.h"
#include "policy/public.h"

enum {
	NETWORKS_MAX = 64,
};

struct list {
	struct network networks[NETWORKS_MAX];
	size_t n;
};

/* The networks of @text, read line by line. */
static void read_list(struct sv text, struct list *list)
{
	while (text.n && list->n < NETWORKS_MAX) {
		struct sv line = fuzz_part(&text, '\n');
		size_t n_hash = sv_find(line, '#'), n_semicolon = sv_find(line, ';');

		line = sv_trim(sv_first(line, n_hash < n_semicolon ? n_hash : n_semicolon));
		if (line.n && network_parse(line, &list->networks[list->n]) == 0) {
			list->n++;
		}
	}
}

static bool network_contains(const struct network *network, const struct address *address)
{
	const unsigned char *a;
	const unsigned char *b;
	unsigned n_bytes = network->n_bits / 8;
	unsigned n_rest = network->n_bits % 8;

	if (network->address.any.sa_family != address->any.sa_family) {
		return false;
	}
	if (address->any.sa_family == AF_INET) {
		a = (const unsigned char *)&network->address.v4.sin_addr;
		b = (const unsigned char *)&address->v4.sin_addr;
	} else {
		a = network->address.v6.sin6_addr.s6_addr;
		b = address->v6.sin6_addr.s6_addr;
	}
	if (memcmp(a, b, n_bytes) != 0) {
		return false;
	}
	return n_rest == 0 || ((a[n_bytes] ^ b[n_bytes]) >> (8 - n_rest)) == 0;
}

/* networks_match() for all networks, one after the other. */
static int match_slowly(const struct list *list, const struct address *address)
{
	int best = -1;

	for (size_t i = 0; i < list->n; i++) {
		const struct network *network = &list->networks[i];

		if (network_contains(network, address) && (int)network->n_bits > best) {
			best = (int)network->n_bits;
		}
	}
	return best;
}

static void check_address(struct sv text)
{
	char written[ADDRESS_TEXT_MAX], again_written[ADDRESS_TEXT_MAX];
	struct address address, again;

	if (address_parse(text, 5222, &address) < 0) {
		return;
	}
	(void)address_is_public(&address);
	FUZZ_CHECK(strlen(address_format(&address, written)) < ADDRESS_TEXT_MAX);
	assert_int_equal(address_parse(sv_from(written), -1, &again), 0);
	FUZZ_CHECK(address_is_same_host(&address, &again));
	FUZZ_CHECK(address_port(&address) == address_port(&again));
	FUZZ_CHECK(strcmp(address_format(&again, again_written), written) == 0);
	assert_int_equal(address_parse(sv_from(address_format_host(&address, written)), 1, &again),
			 0);
	FUZZ_CHECK(address_is_same_host(&address, &again));
	FUZZ_CHECK(address_is_public(&address) == address_is_public(&again));
}

static void check_match(const struct networks *networks, const struct list *list, struct sv text)
{
	const struct networks none = {0};
	struct address address;

	if (address_parse(text, 0, &address) < 0) {
		return;
	}
	int expected = match_slowly(list, &address);

	FUZZ_CHECK(networks_match(networks, &address) == expected);
	FUZZ_CHECK(networks_admit(networks, &none, &address) ==
		   (expected >= 0 || networks->n == 0));
	FUZZ_CHECK(networks_admit(&none, networks, &address) == (expected < 0));
	FUZZ_CHECK(networks_admit(networks, networks, &address) ==
		   (expected < 0 && networks->n == 0));
}

void fuzz_one(struct sv input)
{
	size_t n_list = sv_find_sv(input, SV("\n-\n"));
	struct sv text = sv_first(input, n_list), addresses = sv_skip(input, n_list + 3);
	struct networks networks = {0};
	struct list list = {0};
	unsigned bad_line = 0;
	int r = networks_add_list(&networks, text, &bad_line);

	FUZZ_CHECK(r == 0 || (r < 0 && bad_line > 0));
	networks_seal(&networks);
	read_list(text, &list);
	if (r == 0 && list.n < NETWORKS_MAX) {
		while (addresses.n) {
			struct sv line = fuzz_part(&addresses, '\n');

			check_address(line);
			check_match(&networks, &list, line);
		}
	}
	networks_deinit(&networks);
}
