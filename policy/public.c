/* SPDX-License-Identifier: MIT */
#include "policy/public.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

struct range_v4 {
	uint32_t first;
	unsigned n_bits;
};

struct range_v6 {
	unsigned char first[16];
	unsigned n_bits;
};

#define V4(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* IANA's registry of special-purpose addresses, and classes D and E. */
static const struct range_v4 not_public_v4[] = {
	{V4(0, 0, 0, 0), 8},        /* "this network": Linux connects 0.0.0.0 to itself */
	{V4(10, 0, 0, 0), 8},       /* RFC 1918 */
	{V4(100, 64, 0, 0), 10},    /* RFC 6598, shared: carriers and cloud networks */
	{V4(127, 0, 0, 0), 8},      /* loopback */
	{V4(168, 63, 129, 16), 32}, /* Azure's internal host; the number alone looks public */
	{V4(169, 254, 0, 0), 16},   /* link-local: metadata services of clouds */
	{V4(172, 16, 0, 0), 12},    /* RFC 1918 */
	{V4(192, 0, 0, 0), 24},     /* IETF protocol assignments */
	{V4(192, 0, 2, 0), 24},     /* documentation */
	{V4(192, 88, 99, 0), 24},   /* 6to4 relays, withdrawn by RFC 7526 */
	{V4(192, 168, 0, 0), 16},   /* RFC 1918 */
	{V4(198, 18, 0, 0), 15},    /* benchmarking */
	{V4(198, 51, 100, 0), 24},  /* documentation */
	{V4(203, 0, 113, 0), 24},   /* documentation */
	{V4(224, 0, 0, 0), 4},      /* multicast */
	{V4(240, 0, 0, 0), 4},      /* reserved, with the broadcast address */
};

/* Exceptions within 2000::/3. Nothing outside of it is public. */
static const struct range_v6 not_public_v6[] = {
	{{0x20, 0x01, 0x00}, 23},       /* protocol assignments: Teredo, benchmarking, ORCHID */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x3f, 0xff, 0x00}, 20},       /* documentation, RFC 9637 */
};

static const struct range_v6 global_unicast = {{0x20}, 3};
static const struct range_v6 nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};
static const struct range_v6 mapped = {{[10] = 0xff, [11] = 0xff}, 96};
static const struct range_v6 sixtofour = {{0x20, 0x02}, 16};

enum {
	/* Offset of the IPv4 address in forms of IPv6 that embed one. */
	V4_OFFSET_NAT64 = 12,
	V4_OFFSET_MAPPED = 12,
	V4_OFFSET_6TO4 = 2,
};

static bool is_public_v4(uint32_t host)
{
	for (size_t i = 0; i < ARRAY_LENGTH(not_public_v4); i++) {
		const struct range_v4 *range = &not_public_v4[i];

		if ((host ^ range->first) >> (32 - range->n_bits) == 0) {
			return false;
		}
	}
	return true;
}

static bool range_v6_contains(const struct range_v6 *range, const unsigned char *host)
{
	unsigned n_bytes = range->n_bits / 8;
	unsigned n_rest = range->n_bits % 8;

	if (memcmp(range->first, host, n_bytes) != 0) {
		return false;
	}
	return n_rest == 0 || ((range->first[n_bytes] ^ host[n_bytes]) >> (8 - n_rest)) == 0;
}

static bool carries_public_v4(const unsigned char *host, size_t offset)
{
	uint32_t v4;

	memcpy(&v4, host + offset, sizeof(v4));
	return is_public_v4(ntohl(v4));
}

static bool is_public_v6(const unsigned char *host)
{
	if (range_v6_contains(&nat64, host)) {
		return carries_public_v4(host, V4_OFFSET_NAT64);
	}
	/* address.h converts these to IPv4; this covers addresses made in another way. */
	if (range_v6_contains(&mapped, host)) {
		return carries_public_v4(host, V4_OFFSET_MAPPED);
	}
	if (range_v6_contains(&sixtofour, host)) {
		return carries_public_v4(host, V4_OFFSET_6TO4);
	}
	if (!range_v6_contains(&global_unicast, host)) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(not_public_v6); i++) {
		if (range_v6_contains(&not_public_v6[i], host)) {
			return false;
		}
	}
	return true;
}

bool address_is_public(const struct address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return is_public_v4(ntohl(address->v4.sin_addr.s_addr));
	case AF_INET6:
		return is_public_v6(address->v6.sin6_addr.s6_addr);
	default:
		return false;
	}
}
