/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Socket addresses and networks, as values.
 *
 * address  an IPv4 or IPv6 address with a port
 * network  an address and a prefix length ("10.0.0.0/8"); a bare address is a network of one
 *
 * An IPv4-mapped IPv6 address (::ffff:192.0.2.1) is turned into its IPv4 form by every function
 * that makes an address, so that no check can be passed by writing an address the other way.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

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

/* From what accept(2), getpeername(2) or a resolver gave. Returns 0 or -EAFNOSUPPORT. */
_must_check_ int address_from_sockaddr(const struct sockaddr *sockaddr, struct address *ret_address);

/* "192.0.2.1:5222", "[2001:db8::1]:5222"; without a port @default_port is taken, and where that is
 * negative the port must be there. An unbracketed IPv6 address has no port. Returns 0 or -EINVAL. */
_must_check_ int address_parse(struct sv text, int default_port, struct address *ret_address);

uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);

/* Writes the form that address_parse() reads, with the port, or without port and brackets.
 * Returns @text. */
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX]);
const char *address_format_host(const struct address *address, char text[static ADDRESS_TEXT_MAX]);

/* Same host, whatever the ports. */
bool address_same_host(const struct address *a, const struct address *b);

/* Returns 0 or -EINVAL. Bits behind the prefix are ignored. */
_must_check_ int network_parse(struct sv text, struct network *ret_network);

bool network_contains(const struct network *network, const struct address *address);
