/* SPDX-License-Identifier: MIT */
#include "gateway/listener/proxy-in.h"

enum {
	V1_MAX = 107,
	V2_HEAD = 16,
	V2_VERSION = 0x2,
	V2_LOCAL = 0x0,
	V2_PROXY = 0x1,
	/* Families and protocols of section 2.2. */
	V2_UNSPEC = 0x00,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
	V2_UNIX = 0x31,
	V2_TCP4_SIZE = 12,
	V2_TCP6_SIZE = 36,
	V2_UNIX_SIZE = 216,
	/* Section 2.2.6. */
	TLV_HEAD = 3,
	TLV_SSL = 0x20,
	TLV_CLIENT_SSL = 0x01,
};

#define V1_SIGNATURE SV("PROXY ")
#define V2_SIGNATURE SV("\r\n\r\n\0\r\nQUIT\n")

static unsigned byte(struct sv bytes, size_t i)
{
	return (unsigned char)bytes.data[i];
}

static unsigned number16(struct sv bytes, size_t i)
{
	return byte(bytes, i) << 8 | byte(bytes, i + 1);
}

/* v1 */

static bool consists_of(struct sv text, const char *characters)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!text.data[i] || !strchr(characters, text.data[i])) {
			return false;
		}
	}
	return text.n > 0;
}

static bool parse_port(struct sv text, uint64_t *ret_port)
{
	bool has_zero = text.n > 1 && text.data[0] == '0';

	return !has_zero && sv_to_u64(text, UINT16_MAX, ret_port) == 0;
}

/* An address alone, in the form that the family has. */
static bool parse_host(struct sv text, bool is_v6, struct address *ret_address)
{
	return consists_of(text, is_v6 ? "0123456789abcdefABCDEF:." : "0123456789.") &&
	       sv_has(text, ':') == is_v6 && address_parse(text, 0, ret_address) == 0;
}

/* @line is what stands between the signature and CR LF. */
static bool parse_line(struct sv line, struct proxy_in *header)
{
	struct sv words[5]; /* family, client, gateway, and the port of each */
	struct address gateway;
	uint64_t port;
	uint64_t gateway_port;
	size_t n = 0;

	if (sv_starts_with(line, SV("UNKNOWN"))) {
		/* Whatever follows is to be ignored. */
		return line.n == 7 || line.data[7] == ' ';
	}
	while (line.data && n < ARRAY_LENGTH(words)) {
		size_t end = sv_find(line, ' ');

		words[n++] = sv_first(line, end);
		line = end < line.n ? sv_skip(line, end + 1) : SV_EMPTY;
	}
	if (line.data || n < ARRAY_LENGTH(words)) {
		return false;
	}
	bool is_v6 = sv_eq(words[0], SV("TCP6"));

	if ((!is_v6 && !sv_eq(words[0], SV("TCP4"))) ||
	    !parse_host(words[1], is_v6, &header->client) ||
	    !parse_host(words[2], is_v6, &gateway) || !parse_port(words[3], &port) ||
	    !parse_port(words[4], &gateway_port)) {
		return false;
	}
	header->has_client = true;
	address_set_port(&header->client, (uint16_t)port);
	return true;
}

static enum proxy_in_result parse_v1(struct sv bytes, struct proxy_in *header)
{
	struct sv first = sv_first(bytes, V1_MAX);
	size_t n_line = sv_find(first, '\r');

	if (n_line + 1 >= first.n) {
		return first.n == V1_MAX ? PROXY_IN_E_BAD : PROXY_IN_MORE;
	}
	struct sv line = sv_skip(sv_first(first, n_line), V1_SIGNATURE.n);

	header->n = n_line + 2;
	return first.data[n_line + 1] == '\n' && parse_line(line, header) ? PROXY_IN_OK
									  : PROXY_IN_E_BAD;
}

/* v2 */

static void take_client(struct proxy_in *header, struct sv addresses, bool is_v6)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} client = {0};

	if (is_v6) {
		client.v6.sin6_family = AF_INET6;
		memcpy(&client.v6.sin6_addr, addresses.data, 16);
	} else {
		client.v4.sin_family = AF_INET;
		memcpy(&client.v4.sin_addr, addresses.data, 4);
	}
	/* The families are known, so this cannot fail. */
	header->has_client = address_from_sockaddr(&client.any, &header->client) == 0;
	address_set_port(&header->client, (uint16_t)number16(addresses, is_v6 ? 32 : 8));
}

/* Returns false if the list is not well-formed. */
static bool take_extensions(struct proxy_in *header, struct sv rest)
{
	while (rest.n) {
		if (rest.n < TLV_HEAD || rest.n - TLV_HEAD < number16(rest, 1)) {
			return false;
		}
		size_t n = number16(rest, 1);

		if (byte(rest, 0) == TLV_SSL && n) {
			header->is_secure = byte(rest, TLV_HEAD) & TLV_CLIENT_SSL;
		}
		rest = sv_skip(rest, TLV_HEAD + n);
	}
	return true;
}

/* The bytes of the addresses of @family; -1 if there is no such family. */
static int addresses_size(unsigned family)
{
	switch (family) {
	case V2_UNSPEC:
		return 0;
	case V2_TCP4:
		return V2_TCP4_SIZE;
	case V2_TCP6:
		return V2_TCP6_SIZE;
	case V2_UNIX:
		return V2_UNIX_SIZE;
	default:
		return -1;
	}
}

static enum proxy_in_result parse_v2(struct sv bytes, struct proxy_in *header)
{
	if (bytes.n < V2_HEAD) {
		return PROXY_IN_MORE;
	}
	unsigned command = byte(bytes, 12) & 0xf;
	unsigned family = byte(bytes, 13);
	int n_addresses = addresses_size(family);

	header->n = V2_HEAD + (size_t)number16(bytes, 14);
	if (byte(bytes, 12) >> 4 != V2_VERSION || command > V2_PROXY || header->n > PROXY_IN_MAX) {
		return PROXY_IN_E_BAD;
	}
	if (command == V2_PROXY && (n_addresses < 0 || header->n < V2_HEAD + (size_t)n_addresses)) {
		return PROXY_IN_E_BAD;
	}
	if (bytes.n < header->n) {
		return PROXY_IN_MORE;
	}
	struct sv rest = sv_skip(sv_first(bytes, header->n), V2_HEAD);

	/* Of LOCAL the rest is to be skipped; UNSPEC may have anything behind it, too. */
	if (command == V2_LOCAL || family == V2_UNSPEC) {
		return PROXY_IN_OK;
	}
	if (family != V2_UNIX) {
		take_client(header, rest, family == V2_TCP6);
	}
	return take_extensions(header, sv_skip(rest, (size_t)n_addresses)) ? PROXY_IN_OK
									   : PROXY_IN_E_BAD;
}

enum proxy_in_result proxy_in_parse(struct sv bytes, struct proxy_in *ret_header)
{
	struct proxy_in header = {0};
	enum proxy_in_result result = PROXY_IN_E_BAD;

	if (bytes.n == 0) {
		result = PROXY_IN_MORE;
	} else if (sv_may_become(bytes, V1_SIGNATURE)) {
		result = bytes.n < V1_SIGNATURE.n ? PROXY_IN_MORE : parse_v1(bytes, &header);
	} else if (sv_may_become(bytes, V2_SIGNATURE)) {
		result = bytes.n < V2_SIGNATURE.n ? PROXY_IN_MORE : parse_v2(bytes, &header);
	}
	if (result == PROXY_IN_OK) {
		*ret_header = header;
	}
	return result;
}
