/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "gateway/upstream/transport-state.h"

void transport_fail(struct transport *transport, const struct failure *failure)
{
	transport->state = TRANSPORT_FAILED;
	timeout_stop(&transport->timer);
	transport->callbacks->failed(transport->userdata, failure);
}

void transport_fail_lost(struct transport *transport, const char *words)
{
	struct failure failure;

	failure_set(&failure, FAILURE_CONNECTION_LOST, "%s", words);
	transport_fail(transport, &failure);
}

void transport_fail_flooded(struct transport *transport)
{
	struct failure failure;

	failure_set(&failure, FAILURE_TLS_FLOOD, NULL);
	transport_fail(transport, &failure);
}

void transport_fail_handshake(struct transport *transport)
{
	struct failure failure;

	if (channel_is_flooded(&transport->channel)) {
		transport_fail_flooded(transport);
		return;
	}
	if (transport->channel.error) {
		failure_set(&failure, FAILURE_TLS_HANDSHAKE, "%s", transport->channel.error);
	} else {
		tls_failure(transport->channel.ssl, &failure);
	}
	transport_fail(transport, &failure);
}

static void fail_source(struct transport *transport, int error)
{
	char text[ADDRESS_TEXT_MAX];
	struct failure failure;

	failure_set(&failure, FAILURE_SOURCE_ADDRESS, "from %s: %s",
		    address_format_host(transport->source, text), channel_error(error));
	transport_fail(transport, &failure);
}

void transport_fail_connect(struct transport *transport, int error)
{
	bool is_proxy = transport->tunnel;
	struct failure failure;

	if (transport->source) {
		fail_source(transport, error);
		return;
	}
	switch (error) {
	case ECONNREFUSED:
	/* A server that ends resets the connections that it has not accepted. */
	case ECONNRESET:
		failure_set(&failure,
			    is_proxy ? FAILURE_PROXY_UNREACHABLE : FAILURE_CONNECT_REFUSED,
			    is_proxy ? "it refused the connection" : NULL);
		break;
	case ETIMEDOUT:
		failure_set(&failure,
			    is_proxy ? FAILURE_PROXY_UNREACHABLE : FAILURE_CONNECT_TIMEOUT,
			    is_proxy ? "it did not answer in time" : NULL);
		break;
	/* Problems of this machine: no free port, a local firewall, no memory. */
	case EADDRNOTAVAIL:
	case EACCES:
	case EPERM:
	case ENOMEM:
	case ENOBUFS:
		failure_set(&failure, FAILURE_INTERNAL, "%s", channel_error(error));
		break;
	default:
		failure_set(&failure,
			    is_proxy ? FAILURE_PROXY_UNREACHABLE : FAILURE_CONNECT_UNREACHABLE,
			    "%s", channel_error(error));
		break;
	}
	transport_fail(transport, &failure);
}

void transport_set_broken(struct transport *transport, const char *words)
{
	if (!transport->broken) {
		transport->broken = words;
	}
	buffer_deinit(&transport->out);
	transport->n_clear = 0;
	transport->is_congested = false;
}

void transport_poll_failed(struct transport *transport)
{
	int error = 0;
	socklen_t size = sizeof(error);

	transport->events = 0;
	if (transport->state == TRANSPORT_CONNECTING) {
		return;
	}
	if (getsockopt(transport->channel.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
		error = errno;
	}
	transport_set_broken(transport, channel_error(error ? error : EIO));
}
