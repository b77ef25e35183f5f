/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/stand-in.h"

#include <errno.h>
#include <openssl/sha.h>
#include <string.h>

enum {
	PREFIX_SIZE = 8,
};

static const unsigned char prefix[PREFIX_SIZE] = {0x01};

int stand_in_make(const char *host, uint16_t port, struct address *ret_address)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct in6_addr *in = &ret_address->v6.sin6_addr;

	*ret_address = (struct address){.v6 = {.sin6_family = AF_INET6}};
	/* Clients choose the hosts. None must be able to find one that has another one's
	 * address. */
	if (!SHA256((const unsigned char *)host, strlen(host), digest)) {
		return -ENOMEM;
	}
	memcpy(in->s6_addr, prefix, PREFIX_SIZE);
	memcpy(in->s6_addr + PREFIX_SIZE, digest, sizeof(in->s6_addr) - PREFIX_SIZE);
	address_set_port(ret_address, port);
	return 0;
}

bool stand_in_is(const struct address *address)
{
	return address->any.sa_family == AF_INET6 &&
	       memcmp(address->v6.sin6_addr.s6_addr, prefix, PREFIX_SIZE) == 0;
}
