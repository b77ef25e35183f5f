/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tunnel.h"

#include <assert.h>
#include <string.h>

void tunnel_init(struct tunnel *tunnel, const struct egress *egress,
		 const struct tunnel_server *server)
{
	tunnel->kind = egress->kind;
	tunnel->out.n = 0;
	if (egress->kind == EGRESS_SOCKS5) {
		socks_init(&tunnel->socks, egress, server, &tunnel->out);
	} else {
		http_connect_init(&tunnel->http, egress, server, &tunnel->out);
	}
}

void tunnel_deinit(struct tunnel *tunnel)
{
	explicit_bzero(tunnel, sizeof(*tunnel));
}

enum tunnel_result tunnel_feed(struct tunnel *tunnel, struct sv bytes, size_t *ret_n_used,
			       struct failure *ret_failure)
{
	return tunnel->kind == EGRESS_SOCKS5
		     ? socks_feed(&tunnel->socks, bytes, &tunnel->out, ret_n_used, ret_failure)
		     : http_connect_feed(&tunnel->http, bytes, ret_n_used, ret_failure);
}

void tunnel_written(struct tunnel *tunnel, size_t n)
{
	struct tunnel_out *out = &tunnel->out;

	assert(n <= out->n);
	out->n -= n;
	memmove(out->data, out->data + n, out->n);
}

bool tunnel_has_asked(const struct tunnel *tunnel)
{
	return tunnel->kind == EGRESS_HTTP || tunnel->socks.state == SOCKS_REPLY;
}
