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

unsigned client_hash(uint64_t key, const struct hash_secret *secret)
{
	return hash_value(secret, &key, sizeof(key));
}

bool client_is_same(const struct address *a, const struct address *b)
{
	return client_key(a) == client_key(b);
}
