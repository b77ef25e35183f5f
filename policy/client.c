/* SPDX-License-Identifier: MIT */
#include "policy/client.h"

#include <errno.h>
#include <stdlib.h>

int client_proxies_init(struct client_proxies *proxies, const char *const *texts, size_t n,
			size_t *ret_bad)
{
	struct network *networks = calloc(n ? n : 1, sizeof(*networks));

	if (!networks) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int r = network_parse(sv_from(texts[i]), &networks[i]);

		if (r < 0) {
			free(networks);
			*ret_bad = i;
			return r;
		}
	}
	*proxies = (struct client_proxies){networks, n};
	return 0;
}

void client_proxies_deinit(struct client_proxies *proxies)
{
	free(proxies->networks);
	*proxies = (struct client_proxies){0};
}

bool client_is_proxy(const struct client_proxies *proxies, const struct address *address)
{
	for (size_t i = 0; i < proxies->n_networks; i++) {
		if (network_contains(&proxies->networks[i], address)) {
			return true;
		}
	}
	return false;
}

/* Removes the last item of a list separated by commas from @rest. Returns false at the end. */
static bool take_last(struct sv *rest, struct sv *ret_item)
{
	size_t start = rest->n;

	if (!rest->data) {
		return false;
	}
	while (start && rest->data[start - 1] != ',') {
		start--;
	}
	*ret_item = sv_trim(sv_skip(*rest, start));
	*rest = start ? sv_first(*rest, start - 1) : SV_EMPTY;
	return true;
}

/* Some proxies add the port of the client, which is meaningless here. A zone is refused: it would
 * name a network interface of this host. */
static bool parse_item(struct sv item, struct address *ret_address)
{
	if (sv_find(item, '%') < item.n || address_parse(item, 0, ret_address) < 0) {
		return false;
	}
	address_set_port(ret_address, 0);
	return true;
}

uint64_t client_key(const struct address *client)
{
	uint64_t key;

	if (client->any.sa_family == AF_INET) {
		/* No IPv6 client has this prefix: it is a multicast address. */
		return UINT64_C(0xffffffff00000000) | client->v4.sin_addr.s_addr;
	}
	memcpy(&key, client->v6.sin6_addr.s6_addr, sizeof(key));
	return key;
}

unsigned client_hash(uint64_t key, uint64_t secret)
{
	uint64_t hash = key ^ secret;

	hash = (hash ^ (hash >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	hash += secret;
	hash = (hash ^ (hash >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return (unsigned)(hash ^ (hash >> 32));
}

bool client_is_same(const struct address *a, const struct address *b)
{
	return client_key(a) == client_key(b);
}

struct address client_address(const struct client_proxies *proxies, const struct address *peer,
			      struct sv forwarded_for)
{
	struct address client = *peer;
	struct address address;
	struct sv item;

	/* Read from the right, because the proxy next to us added the last item. The client may
	 * have written whatever is left of the first address that is not a trusted proxy. */
	while (client_is_proxy(proxies, &client) && take_last(&forwarded_for, &item) &&
	       parse_item(item, &address)) {
		client = address;
	}
	return client;
}

bool client_is_secure(const struct client_proxies *proxies, const struct address *peer,
		      struct sv forwarded_proto)
{
	struct sv item;

	return client_is_proxy(proxies, peer) && take_last(&forwarded_proto, &item) &&
	       sv_eq_nocase(item, SV("https"));
}
