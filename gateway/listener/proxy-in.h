/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reads the PROXY header (haproxy.org, proxy-protocol.txt) with which a proxy tells, ahead of the
 * first byte of a connection, for whom it connects. An engine: the bytes so far go in, a verdict
 * comes out. Only for peers that the operator has listed: anybody else could claim any address.
 * (The header that the gateway itself writes to servers is upstream/proxy-header.h's.)
 *
 * v1  a line of text: section 2.1
 * v2  binary: section 2.2. Of what may follow the addresses, only PP2_TYPE_SSL is read
 */
#include "common/address.h"

enum {
	/* The longest header that is taken. v1 has at most 107 bytes; v2 could have 65,551, which a
	 * peer could send slowly, and what proxies add to the addresses is a few hundred at
	 * most. */
	PROXY_IN_MAX = 2048,
};

enum proxy_in_result {
	PROXY_IN_OK,
	PROXY_IN_MORE,  /* it may become a header */
	PROXY_IN_E_BAD, /* it is none */
};

struct proxy_in {
	size_t n;              /* bytes of the header; the client's own begin there */
	bool has_client;       /* otherwise the proxy connects for itself (v2 LOCAL, as for a health
				* check) or does not know (v1 UNKNOWN, v2 UNSPEC, a unix socket) */
	struct address client; /* with its port */
	bool is_secure;        /* v2: the client uses TLS, which ends at the proxy */
};

/* Judges the first @bytes of a connection. With PROXY_IN_MORE, to be called again with more of
 * them; the verdict does not depend on the cuts. */
enum proxy_in_result proxy_in_parse(struct sv bytes, struct proxy_in *ret_header);
