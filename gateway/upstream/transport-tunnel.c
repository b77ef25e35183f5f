/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "gateway/upstream/transport-state.h"

enum {
	/* Looked at in one turn. A proxy's answer is shorter, as a rule. */
	PEEK_SIZE = 1024,
};

static enum tunnel_result fail(struct failure *failure, const char *words)
{
	failure_set(failure, FAILURE_PROXY_FAILED, "%s", words);
	return TUNNEL_FAILED;
}

static enum tunnel_result write_out(struct transport *transport, struct failure *failure)
{
	struct tunnel *tunnel = transport->tunnel;
	size_t n_written;

	if (tunnel->out.n == 0) {
		return TUNNEL_MORE;
	}
	enum channel_result result =
		channel_write(&transport->channel, tunnel->out.data, tunnel->out.n, &n_written);

	tunnel_written(tunnel, n_written);
	return result == CHANNEL_BROKEN ? fail(failure, transport->channel.error) : TUNNEL_MORE;
}

/* The bytes are looked at first: those behind the proxy's answer are the server's and must stay for
 * whoever reads next. */
static enum tunnel_result read_in(struct transport *transport, struct failure *failure)
{
	int fd = transport->channel.fd;
	char *buffer = transport->read_buffer;
	enum tunnel_result result = TUNNEL_MORE;

	while (result == TUNNEL_MORE) {
		ssize_t n = recv(fd, buffer, PEEK_SIZE, MSG_PEEK);
		size_t n_used;

		if (n <= 0) {
			bool is_waiting = n < 0 && (errno == EAGAIN || errno == EINTR);

			return is_waiting ? TUNNEL_MORE
			     : n == 0     ? fail(failure, "it closed the connection")
					  : fail(failure, channel_error(errno));
		}
		result = tunnel_feed(transport->tunnel, (struct sv){buffer, (size_t)n}, &n_used,
				     failure);
		if (recv(fd, buffer, n_used, 0) != (ssize_t)n_used) {
			return fail(failure, "it closed the connection");
		}
	}
	return result;
}

enum tunnel_result transport_tunnel(struct transport *transport, struct failure *ret_failure)
{
	/* What a proxy has said before it closed the connection tells more than that it did. */
	enum tunnel_result result = read_in(transport, ret_failure);

	if (result == TUNNEL_MORE) {
		result = write_out(transport, ret_failure);
	}
	if (result == TUNNEL_MORE && transport->broken) {
		result = fail(ret_failure, transport->broken);
	}
	return result;
}

void transport_tunnel_timeout(const struct transport *transport, struct failure *ret_failure)
{
	/* A proxy that connects says nothing meanwhile. */
	failure_set(ret_failure,
		    tunnel_has_asked(transport->tunnel) ? FAILURE_CONNECT_TIMEOUT
							: FAILURE_PROXY_FAILED,
		    "the proxy did not answer in time");
}

void transport_end_tunnel(struct transport *transport)
{
	if (transport->tunnel) {
		tunnel_deinit(transport->tunnel);
	}
	free(transport->tunnel);
	transport->tunnel = NULL;
}
