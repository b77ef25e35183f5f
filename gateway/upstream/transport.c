/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/transport.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/macro.h"
#include "gateway/upstream/transport-state.h"

enum {
	/* A server that vanished without a FIN is noticed after two minutes (the system's default
	 * is two hours), when four probes were not acknowledged. Probes also keep NATs and
	 * firewalls from forgetting the connection: some do so after four minutes, long before the
	 * two hours of RFC 5382. */
	KEEPALIVE_IDLE_S = 60,
	KEEPALIVE_INTERVAL_S = 15,
	KEEPALIVE_PROBES = 4,
	/* Ends the connection when a server neither acknowledges nor resets, or keeps its window
	 * shut. Linux applies this time to keepalives, too (tcp(7), TCP_USER_TIMEOUT): if it were
	 * shorter than all probes together, the first lost probe would end an idle connection. */
	UNACKNOWLEDGED_MS = (KEEPALIVE_IDLE_S + KEEPALIVE_PROBES * KEEPALIVE_INTERVAL_S) * 1000,
};

/* The options only improve the connection, so failures are ignored. */
static void socket_tune(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(options); i++) {
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
	}
}

/* Makes the socket and the handles. After success, only transport_free() undoes it. */
static int transport_init(struct transport *transport, uv_loop_t *loop, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0) {
		return -errno;
	}
	transport->channel.fd = fd;
	int r = uv_poll_init(loop, &transport->poll, fd);

	if (r < 0) {
		channel_deinit(&transport->channel);
		return r;
	}
	timeout_init(&transport->timer, loop);
	transport->poll.data = transport;
	transport->timer.uv.data = transport;
	transport->n_handles = 2;
	socket_tune(fd);
	return 0;
}

/* Where IPv6 is switched off, an IPv6 destination has no source address: no failure of ours, but a
 * network that is not there. For IPv4 the same error means that no port is left. */
static int connect_error(const struct address *address, int error)
{
	bool is_without_ipv6 = address->any.sa_family == AF_INET6 && error == EADDRNOTAVAIL;

	return is_without_ipv6 ? ENETUNREACH : error;
}

/* Returns 0 or an errno. */
static int bind_source(struct transport *transport, const struct address *source)
{
	int fd = transport->channel.fd;

	/* The port is chosen at connect(2), so that connections to different servers can share
	 * one, as without an address. An older kernel chooses it now. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
	transport->source = source;
	if (bind(fd, &source->any, address_size(source)) < 0) {
		return errno;
	}
	transport->source = NULL;
	return 0;
}

/* Returns 0 or an errno. */
static int start_connecting(struct transport *transport, const struct transport_way *way)
{
	int error = way->source ? bind_source(transport, way->source) : 0;

	if (error == 0 &&
	    connect(transport->channel.fd, &way->address->any, address_size(way->address)) < 0 &&
	    errno != EINPROGRESS) {
		error = connect_error(way->address, errno);
	}
	return error;
}

/* Returns 0 or -ENOMEM. */
static int set_tunnel(struct transport *transport, const struct transport_way *way)
{
	transport->tunnel = malloc(sizeof(*transport->tunnel));
	if (!transport->tunnel) {
		return -ENOMEM;
	}
	tunnel_init(transport->tunnel, way->egress, &way->server);
	transport->timeout_ms = way->timeout_ms;
	transport->tunnel_timeout_ms = way->tunnel_timeout_ms;
	transport->is_proxied = true;
	if (way->server.address) {
		transport->server = *way->server.address;
		address_set_port(&transport->server, way->server.port);
	}
	return 0;
}

int transport_new(uv_loop_t *loop, char *read_buffer, const struct transport_way *way,
		  const struct transport_callbacks *callbacks, void *userdata,
		  struct transport **ret_transport)
{
	struct transport *transport = calloc(1, sizeof(*transport));

	if (!transport) {
		return -ENOMEM;
	}
	transport->callbacks = callbacks;
	transport->userdata = userdata;
	transport->read_buffer = read_buffer;
	transport->turn = way->turn;
	transport->helper = way->helper;
	turn_item_init(&transport->item, TURN_NO_CROWD, transport_on_turn);
	int r = way->egress ? set_tunnel(transport, way) : 0;

	if (r == 0) {
		r = transport_init(transport, loop, way->address->any.sa_family);
	}
	if (r < 0) {
		transport_end_tunnel(transport);
		free(transport);
		return r;
	}
	transport->connect_error = start_connecting(transport, way);
	if (transport->connect_error) {
		timeout_plan(&transport->timer, transport_on_timer, 0);
	} else {
		timeout_start(&transport->timer, transport_on_timer, way->timeout_ms);
	}
	transport_update_poll(transport);
	*ret_transport = transport;
	return 0;
}

int transport_local_address(const struct transport *transport, struct address *ret_address)
{
	struct address address;
	socklen_t size = sizeof(address);

	if (getsockname(transport->channel.fd, &address.any, &size) < 0) {
		return -errno;
	}
	return address_from_sockaddr(&address.any, ret_address);
}

int transport_peer_address(const struct transport *transport, struct address *ret_address)
{
	struct address address;
	socklen_t size = sizeof(address);

	if (transport->is_proxied) {
		*ret_address = transport->server;
		return address_port(ret_address) ? 0 : -EADDRNOTAVAIL;
	}
	if (getpeername(transport->channel.fd, &address.any, &size) < 0) {
		return -errno;
	}
	return address_from_sockaddr(&address.any, ret_address);
}

bool transport_is_answered(const struct transport *transport)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	int n = 0;

	switch (transport->state) {
	case TRANSPORT_CONNECTING:
		return getpeername(transport->channel.fd, (struct sockaddr *)&peer, &size) == 0;
	case TRANSPORT_TUNNEL:
		return ioctl(transport->channel.fd, FIONREAD, &n) == 0 && n > 0;
	default:
		return false;
	}
}

void transport_hand_over(struct transport *transport, const struct transport_callbacks *callbacks,
			 void *userdata)
{
	transport->callbacks = callbacks;
	transport->userdata = userdata;
}

void transport_set_crowd(struct transport *transport, uint32_t crowd)
{
	turn_item_set_crowd(&transport->item, crowd);
}

void transport_will_finish(struct transport *transport)
{
	/* During a handshake the helper may be using the channel, and no last write follows. */
	if (transport->state == TRANSPORT_OPEN) {
		transport->channel.is_corked = true;
	}
}

void transport_finish(struct transport *transport, int64_t timeout_ms)
{
	if (transport->state != TRANSPORT_OPEN || transport->broken) {
		transport_free(transport);
		return;
	}
	transport->state = TRANSPORT_FINISHING;
	transport->n_reports = 0; /* it waits for no turn any more */
	timeout_start(&transport->timer, transport_on_timer, timeout_ms);
	transport_turn_finishing(transport);
	transport_update_poll(transport);
}

int transport_secure(struct transport *transport, SSL *ssl, int64_t timeout_ms)
{
	if (transport->state != TRANSPORT_OPEN) {
		tls_connection_free(ssl);
		return 0;
	}
	int r = channel_secure(&transport->channel, ssl);

	if (r == 0 && transport->helper) {
		r = transport_begin_steps(transport);
	}
	if (r < 0) {
		return r;
	}
	transport->state = TRANSPORT_HANDSHAKE;
	transport->message_timeout_ms = (uint64_t)timeout_ms;
	transport->n_clear = transport->out.n;
	/* Sending the ClientHello now saves an iteration of the loop. The next one reports the
	 * outcome; any outcome other than waiting for input occurs there again. */
	if (transport->n_clear == 0 && channel_handshake(&transport->channel) != CHANNEL_AGAIN) {
		transport->channel.read_wants_write = true;
	}
	timeout_start(&transport->timer, transport_on_timer,
		      timeout_ms < TRANSPORT_FLIGHT_MS ? timeout_ms : TRANSPORT_FLIGHT_MS);
	transport_update_poll(transport);
	return 0;
}

/* A write may read the rest of a TLS message. Then the poll has nothing to report, and no callback
 * may run within a call of the owner, so a turn is planned. */
static enum channel_result write_now(struct transport *transport, const char *data, size_t n,
				     size_t *ret_n_written)
{
	enum channel_result result = channel_write(&transport->channel, data, n, ret_n_written);

	if (transport_take_change(transport)) {
		transport->held_is_due = true;
		transport_watch_message(transport);
		transport_plan_turn(transport);
	}
	return result;
}

int transport_write(struct transport *transport, const char *data, size_t n)
{
	size_t n_written = 0;

	if (n == 0 || transport->broken || transport->state > TRANSPORT_HANDSHAKE) {
		return 0;
	}
	if (transport->out.n == 0 && transport->state == TRANSPORT_OPEN &&
	    write_now(transport, data, n, &n_written) == CHANNEL_BROKEN) {
		transport_set_broken(transport, transport->channel.error);
		transport_plan_turn(transport);
		return 0;
	}
	if (n_written == n) {
		return 0;
	}
	int r = buffer_append(&transport->out, data + n_written, n - n_written);

	if (r < 0) {
		return r;
	}
	if (transport->out.n > TRANSPORT_HIGH_WATER) {
		transport->is_congested = true;
	}
	transport_update_poll(transport);
	return 0;
}

size_t transport_waiting(const struct transport *transport)
{
	return transport->out.n;
}

size_t transport_held(const struct transport *transport)
{
	/* During a handshake the helper may have the channel. */
	bool is_in_message = transport->state == TRANSPORT_HANDSHAKE
				   ? transport_is_held_up(transport)
				   : transport->state == TRANSPORT_OPEN &&
					     channel_is_in_message(&transport->channel);

	return transport->out.size + (is_in_message ? TRANSPORT_MESSAGE_HELD : 0);
}

SSL *transport_tls(const struct transport *transport)
{
	return transport->channel.ssl;
}

bool transport_is_congested(const struct transport *transport)
{
	return transport->is_congested;
}

bool transport_has_unread(const struct transport *transport)
{
	int n = 0;

	if (transport->state != TRANSPORT_OPEN || transport->broken || transport->has_ended) {
		return false;
	}
	/* What cannot be known may be there. */
	return transport->is_paused || channel_has_pending(&transport->channel) ||
	       ioctl(transport->channel.fd, FIONREAD, &n) < 0 || n > 0;
}

void transport_pause(struct transport *transport, bool is_paused)
{
	transport->is_paused = is_paused;
	if (transport->state != TRANSPORT_OPEN) {
		return;
	}
	if (is_paused) {
		/* The rest of a TLS message may be there already, unread. */
		transport_forget_message(transport);
		timeout_stop(&transport->timer);
	} else if (transport->broken || transport->held_is_due ||
		   channel_has_pending(&transport->channel)) {
		transport_plan_turn(transport);
	} else {
		transport_watch_message(transport);
	}
	transport_update_poll(transport);
}
