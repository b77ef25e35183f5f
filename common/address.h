/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Socket addresses and networks, as values.
 *
 * address  an IPv4 or IPv6 address with a port
 * network  an address and a prefix length ("10.0.0.0/8"); without a length, only that address
 *
 * Every function that makes an address converts an IPv4-mapped IPv6 address (::ffff:192.0.2.1) to
 * IPv4. Otherwise a client could pass a check by writing its address the other way.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/sv.h"

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

struct network {
	struct address address;
	unsigned n_bits;
};

enum {
	/* "[ffff:...:255.255.255.255%interface]:65535" and a NUL. */
	ADDRESS_TEXT_MAX = 80,
};

socklen_t address_size(const struct address *address);

/* Converts an address from accept(2), getpeername(2) or a resolver. Returns 0 or -EAFNOSUPPORT. */
_must_check_ int address_from_sockaddr(const struct sockaddr *sockaddr,
				       struct address *ret_address);

/* Reads "192.0.2.1:5222" or "[2001:db8::1]:5222". A missing port is @default_port; when that is
 * negative, a port is required. An IPv6 address without brackets has no port. Returns 0, or -EINVAL
 * when @text is not an address. */
_must_check_ int address_parse(struct sv text, int default_port, struct address *ret_address);

/* Makes the address of the socket at @path in the file system. Returns 0 or -ENAMETOOLONG. */
_must_check_ int address_local(const char *path, struct sockaddr_un *ret_address);

uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);

/* Writes the form that address_parse() reads. Returns @text. */
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX]);
/* The same without the port and the brackets. */
const char *address_format_host(const struct address *address, char text[static ADDRESS_TEXT_MAX]);

/* Whether the addresses are equal, with their ports. */
bool address_is_same(const struct address *a, const struct address *b);

/* Whether they are equal, except for their ports. */
bool address_is_same_host(const struct address *a, const struct address *b);

/* Reads a network. Bits after the prefix are ignored. Returns 0, or -EINVAL when @text is not a
 * network. */
_must_check_ int network_parse(struct sv text, struct network *ret_network);
