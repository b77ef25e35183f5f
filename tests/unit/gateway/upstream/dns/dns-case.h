/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes DNS messages (RFC 1035) octet by octet, so that parsers are tested against the
 * specification and not against a library. Included after cmocka.h.
 *
 * struct dns_message message;
 *
 * dns_begin(&message, DNS_RESPONSE | DNS_NXDOMAIN, "_xmpp-client._tcp.a.example", DNS_SRV);
 * dns_record(&message, DNS_AUTHORITY, "a.example", DNS_SOA, 60, dns_soa(30));
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_TLSA = 52,

	DNS_RESPONSE = 0x8180, /* with recursion desired and available */
	DNS_AD = 0x20,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,

	/* Offset of the section's count in the header. */
	DNS_ANSWER = 6,
	DNS_AUTHORITY = 8,
	DNS_ADDITIONAL = 10,

	DNS_HEADER = 12,
};

struct dns_message {
	size_t n;
	unsigned char data[65535];
};

struct dns_data {
	size_t n;
	unsigned char data[2048];
};

static inline void dns_put(unsigned char *at, size_t n, uint32_t number)
{
	while (n--) {
		at[n] = (unsigned char)number;
		number >>= 8;
	}
}

/* Writes "a.example" as labels; "" or "." is the root. Returns the number of octets. */
static inline size_t dns_put_name(unsigned char *at, const char *name)
{
	unsigned char *start = at;

	while (*name && *name != '.') {
		size_t n = strcspn(name, ".");

		*at++ = (unsigned char)n;
		memcpy(at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	*at++ = 0;
	return (size_t)(at - start);
}

static inline void dns_begin(struct dns_message *message, unsigned flags, const char *name,
			     unsigned type)
{
	memset(message->data, 0, DNS_HEADER);
	dns_put(message->data + 2, 2, flags);
	dns_put(message->data + 4, 2, 1);
	message->n = DNS_HEADER + dns_put_name(message->data + DNS_HEADER, name);
	dns_put(message->data + message->n, 2, type);
	dns_put(message->data + message->n + 2, 2, 1);
	message->n += 4;
}

static inline void dns_record(struct dns_message *message, unsigned section, const char *name,
			      unsigned type, uint32_t ttl_s, struct dns_data data)
{
	unsigned char *count = message->data + section;
	unsigned char *at =
		message->data + message->n + dns_put_name(message->data + message->n, name);

	dns_put(count, 2, ((uint32_t)count[0] << 8 | count[1]) + 1);
	dns_put(at, 2, type);
	dns_put(at + 2, 2, 1);
	dns_put(at + 4, 4, ttl_s);
	dns_put(at + 8, 2, (uint32_t)data.n);
	memcpy(at + 10, data.data, data.n);
	message->n = (size_t)(at - message->data) + 10 + data.n;
}

static inline struct dns_data dns_name(const char *name)
{
	struct dns_data data;

	data.n = dns_put_name(data.data, name);
	return data;
}

static inline struct dns_data dns_srv(unsigned priority, unsigned weight, unsigned port,
				      const char *host)
{
	struct dns_data data;

	dns_put(data.data, 2, priority);
	dns_put(data.data + 2, 2, weight);
	dns_put(data.data + 4, 2, port);
	data.n = 6 + dns_put_name(data.data + 6, host);
	return data;
}

static inline struct dns_data dns_soa(uint32_t minimum_s)
{
	struct dns_data data;

	data.n = dns_put_name(data.data, "ns.example");
	data.n += dns_put_name(data.data + data.n, "master.ns.example");
	memset(data.data + data.n, 0x55, 16);
	dns_put(data.data + data.n + 16, 4, minimum_s);
	data.n += 20;
	return data;
}

/* @n octets, all @octet. */
static inline struct dns_data dns_tlsa(unsigned usage, unsigned selector, unsigned matching,
				       size_t n, int octet)
{
	struct dns_data data;

	data.n = 3 + n;
	dns_put(data.data, 1, usage);
	dns_put(data.data + 1, 1, selector);
	dns_put(data.data + 2, 1, matching);
	memset(data.data + 3, octet, n);
	return data;
}
