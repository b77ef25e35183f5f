/* SPDX-License-Identifier: MIT */
#pragma once
/* What the two protocols of proxies (socks.h, http-connect.h) have in common: see tunnel.h. */
#include "common/address.h"
#include "policy/domain.h"
#include "policy/egress.h"

enum {
	/* "CONNECT HOST:PORT HTTP/1.1", "Host: HOST:PORT", and "Proxy-Authorization" with the
	 * base64 of a user, a colon and a password. */
	TUNNEL_OUT_MAX = 2 * (DOMAIN_MAX + 6) + 4 * (2 * EGRESS_LOGIN_MAX + 3) / 3 + 100,
};

enum tunnel_result {
	TUNNEL_MORE,   /* the proxy has to say more */
	TUNNEL_OPEN,   /* what follows is the server's */
	TUNNEL_FAILED, /* the failure says why */
};

/* The server that the proxy is to connect to. */
struct tunnel_server {
	const char *host;              /* in ascii form; the proxy looks it up. NULL: the address */
	const struct address *address; /* NULL: the host */
	uint16_t port;
};

/* What has to be written to the proxy. */
struct tunnel_out {
	char data[TUNNEL_OUT_MAX];
	size_t n;
};
