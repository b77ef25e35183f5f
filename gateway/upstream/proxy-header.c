/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/proxy-header.h"

#include <assert.h>
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	SIGNATURE_SIZE = 12,
	V2_HEAD_SIZE = 16,
	V2_LOCAL = 0x20, /* upper half: version 2; lower half: the command */
	V2_PROXY = 0x21,
	V2_UNSPECIFIED = 0x00,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
	HOST_MAX = 16,
};

/* Both addresses in the same family. */
struct ends {
	int family;
	size_t n_host;
	unsigned char client[HOST_MAX], gateway[HOST_MAX];
	uint16_t client_port, gateway_port;
};

static void set_host(const struct address *address, int family, unsigned char host[static HOST_MAX])
{
	static const unsigned char mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (address->any.sa_family == AF_INET6) {
		memcpy(host, &address->v6.sin6_addr, sizeof(address->v6.sin6_addr));
		return;
	}
	if (family == AF_INET6) {
		memcpy(host, mapped, sizeof(mapped));
		host += sizeof(mapped);
	}
	memcpy(host, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
}

static struct ends ends_of(const struct address *client, const struct address *gateway)
{
	bool is_v4 = client->any.sa_family == AF_INET && gateway->any.sa_family == AF_INET;
	struct ends ends = {
		.family = is_v4 ? AF_INET : AF_INET6,
		.n_host = is_v4 ? sizeof(struct in_addr) : sizeof(struct in6_addr),
		.client_port = address_port(client),
		.gateway_port = address_port(gateway),
	};

	set_host(client, ends.family, ends.client);
	set_host(gateway, ends.family, ends.gateway);
	return ends;
}

static size_t write_v1(const struct ends *ends, char header[static PROXY_HEADER_MAX])
{
	char client[INET6_ADDRSTRLEN], gateway[INET6_ADDRSTRLEN];
	char line[PROXY_HEADER_MAX + 1];

	inet_ntop(ends->family, ends->client, client, sizeof(client));
	inet_ntop(ends->family, ends->gateway, gateway, sizeof(gateway));
	int n = snprintf(line, sizeof(line), "PROXY TCP%c %s %s %u %u\r\n",
			 ends->family == AF_INET ? '4' : '6', client, gateway, ends->client_port,
			 ends->gateway_port);

	assert(n > 0 && n <= PROXY_HEADER_MAX);
	memcpy(header, line, (size_t)n);
	return (size_t)n;
}

static char *put(char *at, const void *data, size_t n)
{
	memcpy(at, data, n);
	return at + n;
}

static char *put_u16(char *at, uint16_t value)
{
	const unsigned char bytes[] = {(unsigned char)(value >> 8), (unsigned char)(value & 0xff)};

	return put(at, bytes, sizeof(bytes));
}

/* Writes the first 16 bytes. @n is the number of bytes that follow them. */
static char *put_v2_head(char *at, unsigned char command, unsigned char family, size_t n)
{
	static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
	const unsigned char kind[] = {command, family};

	at = put(at, signature, SIGNATURE_SIZE);
	at = put(at, kind, sizeof(kind));
	return put_u16(at, (uint16_t)n);
}

static size_t write_v2(const struct ends *ends, char header[static PROXY_HEADER_MAX])
{
	size_t n_addresses = 2 * ends->n_host + 2 * sizeof(uint16_t);
	char *at = put_v2_head(header, V2_PROXY, ends->family == AF_INET ? V2_TCP4 : V2_TCP6,
			       n_addresses);

	at = put(at, ends->client, ends->n_host);
	at = put(at, ends->gateway, ends->n_host);
	at = put_u16(at, ends->client_port);
	put_u16(at, ends->gateway_port);
	return V2_HEAD_SIZE + n_addresses;
}

static size_t write_unknown(enum domain_proxy version, char header[static PROXY_HEADER_MAX])
{
	static const struct sv unknown = SV_INIT("PROXY UNKNOWN\r\n");

	if (version == DOMAIN_PROXY_V1) {
		memcpy(header, unknown.data, unknown.n);
		return unknown.n;
	}
	put_v2_head(header, V2_LOCAL, V2_UNSPECIFIED, 0);
	return V2_HEAD_SIZE;
}

size_t proxy_header_write(enum domain_proxy version, const struct address *client,
			  const struct address *gateway, char header[static PROXY_HEADER_MAX])
{
	if (!client) {
		return write_unknown(version, header);
	}
	struct ends ends = ends_of(client, gateway);

	return version == DOMAIN_PROXY_V1 ? write_v1(&ends, header) : write_v2(&ends, header);
}
