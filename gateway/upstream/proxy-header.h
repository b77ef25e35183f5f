/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes PROXY protocol headers (haproxy.org, proxy-protocol.txt): they tell the operator's own
 * server the client's address, in the first bytes of a connection, before TLS. An engine.
 *
 * v1  a line of text: section 2.1
 * v2  binary: section 2.2
 */
#include <stddef.h>

#include "common/address.h"
#include "policy/domain-rules.h"

enum {
	/* Section 2.1: the longest line of v1, with CR and LF. v2 needs 16 bytes and 36 for two
	 * IPv6 addresses. */
	PROXY_HEADER_MAX = 107,
};

/* Writes the header of @version (not DOMAIN_PROXY_OFF) into @header, without a NUL, and returns its
 * length. If @client is NULL, the header says that the connection is the gateway's own (v1 UNKNOWN,
 * v2 LOCAL). @gateway is the local address of the connection. If only one of the addresses is IPv6,
 * the other is written in its IPv4-mapped form. */
size_t proxy_header_write(enum domain_proxy version, const struct address *client,
			  const struct address *gateway, char header[static PROXY_HEADER_MAX]);
