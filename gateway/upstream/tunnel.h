/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Asks a proxy (policy/egress.h) for a connection to a server, in the protocol of that proxy. An
 * engine: bytes go in, bytes and the outcome come out.
 *
 * A failure is one of three kinds: the proxy refuses (PROXY_REFUSED), it breaks its protocol
 * (PROXY_FAILED), or it could not connect to the server (CONNECT_*).
 */
#include "gateway/upstream/http-connect.h"
#include "gateway/upstream/socks.h"

struct tunnel {
	enum egress_kind kind;
	union {
		struct socks socks;
		struct http_connect http;
	};
	struct tunnel_out out; /* to be written; the owner takes off what it has written */
};

/* Starts the tunnel. @egress (not EGRESS_NONE) and what @server points to are borrowed for the
 * tunnel's life. */
void tunnel_init(struct tunnel *tunnel, const struct egress *egress,
		 const struct tunnel_server *server);

/* Wipes it. May run twice. */
void tunnel_deinit(struct tunnel *tunnel);

/* Takes @bytes of the proxy. *ret_n_used is how many were the proxy's: all of them, except those
 * that the server has sent behind them. tunnel->out may have more to be written. *ret_failure is
 * set with TUNNEL_FAILED. Not to be called after another result than TUNNEL_MORE. */
_must_check_ enum tunnel_result tunnel_feed(struct tunnel *tunnel, struct sv bytes,
					    size_t *ret_n_used, struct failure *ret_failure);

/* Takes off the first @n bytes of tunnel->out. */
void tunnel_written(struct tunnel *tunnel, size_t n);

/* Whether the proxy knows the server: if it says nothing now, the server may be the reason. */
bool tunnel_has_asked(const struct tunnel *tunnel);
