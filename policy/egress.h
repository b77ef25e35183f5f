/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How connections leave this machine: from which of its addresses, and through which proxy.
 *
 * source  an address of this machine, without a port. Addresses of one family take turns
 * egress  a proxy that connects to a server on the gateway's behalf, as the operator writes it:
 *         "socks5://HOST:PORT" (RFC 1928) or "http://HOST:PORT" (CONNECT; RFC 9110, 9.3.6), with
 *         "USER:PASSWORD@" before the host where it wants a login. Characters that would end the
 *         user or the password are written as %XX (RFC 3986, 2.1)
 */
#include <stdbool.h>

#include "common/address.h"
#include "common/sv.h"

/* How to talk to a proxy: name, scheme. */
#define EGRESS_KINDS(X)     \
	X(NONE, "")         \
	X(SOCKS5, "socks5") \
	X(HTTP, "http")

enum egress_kind {
#define X(name, scheme) EGRESS_##name,
	EGRESS_KINDS(X)
#undef X
};

enum {
	EGRESS_SOURCES_MAX = 8, /* each section has room for them */
	/* RFC 1929, 2: the most that SOCKS can carry of each. */
	EGRESS_LOGIN_MAX = 255,
	/* "socks5://", a host, ":65535" and a NUL. */
	EGRESS_TEXT_MAX = 9 + 255 + 6 + 1,
};

struct egress_sources {
	struct address addresses[EGRESS_SOURCES_MAX];
	size_t n;
};

/* Zero-initialised: none. */
struct egress {
	enum egress_kind kind;
	char *host;             /* owned, ascii form; NULL for an address */
	struct address address; /* with the port */
	uint16_t port;          /* of the host */
	char *user, *password;  /* owned; NULL: no login */
};

/* Reads a proxy. A port is required; so is a password where there is a user. The user of an HTTP
 * proxy has no colon (RFC 7617, 2). Returns 0, -ENOMEM, or -EINVAL when @text is not one. */
_must_check_ int egress_parse(struct sv text, struct egress *ret_egress);

/* Wipes and frees the login. May run twice. */
void egress_deinit(struct egress *egress);

/* Writes the proxy without its login. Returns @text. */
const char *egress_format(const struct egress *egress, char text[static EGRESS_TEXT_MAX]);

/* The address of @family whose turn it is after @turn others; NULL if there is none, and the system
 * chooses. Borrowed from @sources. */
const struct address *egress_source(const struct egress_sources *sources, int family,
				    unsigned turn);
