/* SPDX-License-Identifier: MIT */
#include "policy/client.h"

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
