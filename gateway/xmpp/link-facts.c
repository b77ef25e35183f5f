/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "gateway/xmpp/link-state.h"

bool link_is_congested(const struct link *link)
{
	return link->transport && transport_is_congested(link->transport);
}

bool link_is_full(const struct link *link)
{
	return link->transport &&
	       transport_waiting(link->transport) + outbox_waiting(&link->env->outbox, link) >
		       link->env->n_waiting_full;
}

int link_address(const struct link *link, struct address *ret_address)
{
	return link->transport ? transport_peer_address(link->transport, ret_address) : -ENOTCONN;
}

const char *link_tls_version(const struct link *link)
{
	const SSL *ssl = link->transport ? transport_tls(link->transport) : NULL;

	return ssl ? SSL_get_version(ssl) : "none";
}

const char *link_tls_cipher(const struct link *link)
{
	const SSL *ssl = link->transport ? transport_tls(link->transport) : NULL;

	return ssl ? SSL_get_cipher_name(ssl) : "";
}

struct stream *link_stream(struct link *link)
{
	return &link->stream;
}

size_t link_held(const struct link *link)
{
	size_t n = stream_held(&link->stream) + outbox_waiting(&link->env->outbox, link);

	if (link->opening) {
		return n + opening_held(link->opening);
	}
	return link->transport ? n + transport_held(link->transport) : n;
}
