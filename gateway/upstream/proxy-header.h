/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The PROXY protocol (haproxy.org, proxy-protocol.txt), as its sender: who the client is, in the first bytes of a
 * connection to the operator's own server, before TLS. Pure: addresses in, bytes out.
 *
 * v1  a line of text: section 2.1
 * v2  binary: section 2.2
 */
#include <stddef.h>

#include "common/address.h"
#include "policy/domain.h"

enum {
	/* Section 2.1: the longest line of v1, with CR and LF; v2 has 16 bytes and 36 for two IPv6 addresses. */
	PROXY_HEADER_MAX = 107,
};

/* Writes the header of @version, which is not DOMAIN_PROXY_OFF, into @header, without a NUL; returns its length.
 * @client may be NULL: the header then says that the gateway speaks for itself (v1 UNKNOWN, v2 LOCAL). @gateway is
 * our end of the connection. When only one of the two is of IPv6, the other goes in its mapped form. */
size_t proxy_header_write(enum domain_proxy version, const struct address *client, const struct address *gateway,
			  char header[static PROXY_HEADER_MAX]);
