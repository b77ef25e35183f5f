/* SPDX-License-Identifier: MIT */
#include "common/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum {
	ADDRESS_BITS_V4 = 32,
	ADDRESS_BITS_V6 = 128,
	/* The prefix ::ffff:0:0 of an IPv4-mapped address, before the IPv4 address. */
	ADDRESS_BITS_MAPPED = 96,
};

static struct address address_v4(struct in_addr host, in_port_t port)
{
	struct address address;

	memset(&address, 0, sizeof(address));
	address.v4.sin_family = AF_INET;
	address.v4.sin_addr = host;
	address.v4.sin_port = port;
	return address;
}

static struct address address_v6(const struct in6_addr *host, in_port_t port, uint32_t scope)
{
	struct address address;

	if (IN6_IS_ADDR_V4MAPPED(host)) {
		struct in_addr v4;

		memcpy(&v4, &host->s6_addr[ADDRESS_BITS_MAPPED / 8], sizeof(v4));
		return address_v4(v4, port);
	}
	memset(&address, 0, sizeof(address));
	address.v6.sin6_family = AF_INET6;
	address.v6.sin6_addr = *host;
	address.v6.sin6_port = port;
	address.v6.sin6_scope_id = scope;
	return address;
}

socklen_t address_size(const struct address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

int address_from_sockaddr(const struct sockaddr *sockaddr, struct address *ret_address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (sockaddr->sa_family) {
	case AF_INET:
		memcpy(&v4, sockaddr, sizeof(v4));
		*ret_address = address_v4(v4.sin_addr, v4.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&v6, sockaddr, sizeof(v6));
		*ret_address = address_v6(&v6.sin6_addr, v6.sin6_port, v6.sin6_scope_id);
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

/* inet_pton() and if_nametoindex() need a NUL at the end. */
static bool sv_to_cstring(struct sv view, char *text, size_t size)
{
	if (view.n == 0 || view.n >= size || memchr(view.data, '\0', view.n)) {
		return false;
	}
	memcpy(text, view.data, view.n);
	text[view.n] = '\0';
	return true;
}

static bool scope_parse(struct sv text, uint32_t *ret_scope)
{
	char name[IF_NAMESIZE];
	uint64_t number;

	if (sv_to_u64(text, UINT32_MAX, &number) == 0) {
		*ret_scope = (uint32_t)number;
		return number != 0;
	}
	if (!sv_to_cstring(text, name, sizeof(name))) {
		return false;
	}
	*ret_scope = if_nametoindex(name);
	return *ret_scope != 0;
}

/* Reads an address without a port or brackets. */
static int host_parse(struct sv text, struct address *ret_address)
{
	char host[INET6_ADDRSTRLEN];
	size_t n_host = sv_find(text, '%');
	struct in_addr v4;
	struct in6_addr v6;
	uint32_t scope = 0;

	if (!sv_to_cstring(sv_first(text, n_host), host, sizeof(host))) {
		return -EINVAL;
	}
	if (n_host == text.n && inet_pton(AF_INET, host, &v4) == 1) {
		*ret_address = address_v4(v4, 0);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &v6) != 1) {
		return -EINVAL;
	}
	if (n_host < text.n) {
		/* Only link-local addresses need a zone. With one, any other address could be
		 * written in two ways. */
		if (!IN6_IS_ADDR_LINKLOCAL(&v6) ||
		    !scope_parse(sv_skip(text, n_host + 1), &scope)) {
			return -EINVAL;
		}
	}
	*ret_address = address_v6(&v6, 0, scope);
	return 0;
}

/* Splits @text into host and port; the port is empty when there is none. */
static int split_port(struct sv text, struct sv *ret_host, struct sv *ret_port)
{
	size_t n_host;
	struct sv rest;

	*ret_port = SV_EMPTY;
	if (text.n && text.data[0] == '[') {
		n_host = sv_find(text, ']');
		if (n_host == text.n) {
			return -EINVAL;
		}
		*ret_host = (struct sv){text.data + 1, n_host - 1};
		rest = sv_skip(text, n_host + 1);
		if (sv_find(*ret_host, ':') == ret_host->n) {
			return -EINVAL;
		}
	} else {
		n_host = sv_find(text, ':');
		if (n_host < text.n &&
		    sv_find(sv_skip(text, n_host + 1), ':') < text.n - n_host - 1) {
			/* Two colons and no brackets: an IPv6 address without a port. */
			n_host = text.n;
		}
		*ret_host = sv_first(text, n_host);
		rest = sv_skip(text, n_host);
	}
	if (rest.n == 0) {
		return 0;
	}
	if (rest.n == 1 || rest.data[0] != ':') {
		return -EINVAL;
	}
	*ret_port = sv_skip(rest, 1);
	return 0;
}

int address_parse(struct sv text, int default_port, struct address *ret_address)
{
	struct sv host;
	struct sv port_text;
	struct address address;
	uint64_t port = 0;
	int r = split_port(text, &host, &port_text);

	if (r < 0) {
		return r;
	}
	if (port_text.n) {
		r = sv_to_u64(port_text, UINT16_MAX, &port);
		if (r < 0) {
			return r;
		}
	} else if (default_port >= 0) {
		port = (uint64_t)default_port;
	} else {
		return -EINVAL;
	}
	r = host_parse(host, &address);
	if (r < 0) {
		return r;
	}
	address_set_port(&address, (uint16_t)port);
	*ret_address = address;
	return 0;
}

int address_local(const char *path, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t n = strlen(path);

	if (n >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, n);
	*ret_address = address;
	return 0;
}

uint16_t address_port(const struct address *address)
{
	return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port
						       : address->v6.sin6_port);
}

void address_set_port(struct address *address, uint16_t port)
{
	if (address->any.sa_family == AF_INET) {
		address->v4.sin_port = htons(port);
	} else {
		address->v6.sin6_port = htons(port);
	}
}

const char *address_format_host(const struct address *address, char text[static ADDRESS_TEXT_MAX])
{
	char name[IF_NAMESIZE];
	uint32_t scope;

	if (address->any.sa_family == AF_INET) {
		return inet_ntop(AF_INET, &address->v4.sin_addr, text, ADDRESS_TEXT_MAX);
	}
	inet_ntop(AF_INET6, &address->v6.sin6_addr, text, ADDRESS_TEXT_MAX);
	scope = address->v6.sin6_scope_id;
	if (scope) {
		size_t n = strlen(text);

		if (if_indextoname(scope, name)) {
			snprintf(text + n, ADDRESS_TEXT_MAX - n, "%%%s", name);
		} else {
			snprintf(text + n, ADDRESS_TEXT_MAX - n, "%%%u", (unsigned)scope);
		}
	}
	return text;
}

const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX])
{
	char host[ADDRESS_TEXT_MAX];

	address_format_host(address, host);
	snprintf(text, ADDRESS_TEXT_MAX,
		 address->any.sa_family == AF_INET ? "%.70s:%u" : "[%.70s]:%u", host,
		 (unsigned)address_port(address));
	return text;
}

bool address_is_same(const struct address *a, const struct address *b)
{
	return address_is_same_host(a, b) && address_port(a) == address_port(b);
}

bool address_is_same_host(const struct address *a, const struct address *b)
{
	if (a->any.sa_family != b->any.sa_family) {
		return false;
	}
	if (a->any.sa_family == AF_INET) {
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	}
	return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr) &&
	       a->v6.sin6_scope_id == b->v6.sin6_scope_id;
}

int network_parse(struct sv text, struct network *ret_network)
{
	size_t n_host = sv_find(text, '/');
	struct sv host = sv_first(text, n_host);
	struct address address;
	uint64_t n_bits;
	int r;

	if (sv_has(host, '%')) {
		return -EINVAL;
	}
	r = host_parse(host, &address);
	if (r < 0) {
		return r;
	}
	bool is_v4 = address.any.sa_family == AF_INET;
	bool is_mapped = is_v4 && sv_has(host, ':');

	n_bits = is_v4 && !is_mapped ? ADDRESS_BITS_V4 : ADDRESS_BITS_V6;
	if (n_host < text.n) {
		r = sv_to_u64(sv_skip(text, n_host + 1), n_bits, &n_bits);
		if (r < 0) {
			return r;
		}
	}
	if (is_mapped) {
		/* A shorter prefix would contain IPv6 addresses as well. */
		if (n_bits < ADDRESS_BITS_MAPPED) {
			return -EINVAL;
		}
		n_bits -= ADDRESS_BITS_MAPPED;
	}
	*ret_network = (struct network){address, (unsigned)n_bits};
	return 0;
}
