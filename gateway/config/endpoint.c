/* SPDX-License-Identifier: MIT */
#include "gateway/config/endpoint.h"

#include <arpa/inet.h>

enum {
	PORT_LISTEN = 5280, /* IANA: xmpp-bosh */
};

static bool is_bare_ipv6(const char *text)
{
	return strchr(text, ':') != strrchr(text, ':') && text[0] != '[' &&
	       strspn(text, "0123456789abcdefABCDEF:.") == strlen(text);
}

const char *config_endpoint_parse(const char *text, int default_port, const char *expected,
				  struct address *ret_address)
{
	if (is_bare_ipv6(text)) {
		return "an IPv6 address in brackets, as in \"[2001:db8::1]:5280\"";
	}
	return address_parse(sv_from(text), default_port, ret_address) < 0 ||
			       address_port(ret_address) == 0
		     ? expected
		     : NULL;
}

const char *config_listen_parse(const char *text, struct address *ret_address)
{
	/* Port 0 would give each worker a different port. */
	return config_endpoint_parse(
		text, PORT_LISTEN,
		"an IP address and a port, as in \"127.0.0.1:5280\" or \"[::1]:5280\"",
		ret_address);
}

static bool is_any(const struct address *address)
{
	return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
						  : address->v4.sin_addr.s_addr == INADDR_ANY;
}

const char *config_listen_beside(const struct address *a, const struct address *b)
{
	if (address_port(a) != address_port(b)) {
		return NULL;
	}
	if (address_is_same_host(a, b)) {
		return "each address once";
	}
	return a->any.sa_family == b->any.sa_family && (is_any(a) || is_any(b))
		     ? "no other address on the port of 0.0.0.0 or [::]"
		     : NULL;
}
