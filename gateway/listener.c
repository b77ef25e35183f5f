/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "gateway/acceptor.h"
#include "gateway/proxied.h"
#include "gateway/socket-policy.h"

struct listener {
	struct worker_env *env;
	const struct listener_callbacks *callbacks;
	void *userdata;
	struct acceptor *acceptor;
	struct proxied *proxied; /* made when the first proxy connects */
};

static void log_refused(const struct listener *listener, const struct address *peer,
			const char *limit)
{
	char text[ADDRESS_TEXT_MAX];

	if (worker_may_log(listener->env, CLIENT_LOG_CONNECTION_REFUSED, peer)) {
		log_warning("connection-refused",
			    LOG_STR("client", address_format_host(peer, text)),
			    LOG_STR("limit", limit));
	}
}

/* Proxies that send a PROXY header. */

static bool is_at(const struct config_listener *section, const struct address *own)
{
	const struct address *at = &section->address;
	bool is_any = at->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&at->v6.sin6_addr)
						    : at->v4.sin_addr.s_addr == INADDR_ANY;

	return section->kind == CONFIG_LISTENER_ADDRESS && address_port(at) == address_port(own) &&
	       (address_same_host(at, own) || (is_any && at->any.sa_family == own->any.sa_family));
}

/* The section of the listener that accepted @fd, if its peers send a PROXY header. */
static const struct config_listener *proxied_section(const struct listener *listener, int fd)
{
	const struct config_listeners *sections = &listener->env->config->listeners;
	struct sockaddr_storage storage;
	struct address own;

	for (size_t i = 0; i < sections->n; i++) {
		const struct config_listener *section = &sections->list[i];
		socklen_t n = sizeof(storage);

		if (section->proxy != DOMAIN_PROXY_OFF &&
		    getsockname(fd, (struct sockaddr *)&storage, &n) == 0 &&
		    address_from_sockaddr((struct sockaddr *)&storage, &own) == 0 &&
		    is_at(section, &own)) {
			return section;
		}
	}
	return NULL;
}

/* From here on the client is counted and no longer its proxy. */
static void on_proxied(void *userdata, struct wire *wire, const struct address *proxy,
		       const struct proxy_in *header)
{
	struct listener *listener = userdata;

	if (header->has_client) {
		worker_leave_connection(listener->env, proxy);
		const char *limit = worker_enter_connection(listener->env, wire_peer(wire));

		if (limit) {
			log_refused(listener, wire_peer(wire), limit);
			wire_close(wire);
			return;
		}
	}
	listener->callbacks->connection(listener->userdata, wire);
}

static void on_not_proxied(void *userdata, const struct wire *wire, const char *reason)
{
	struct listener *listener = userdata;
	char text[ADDRESS_TEXT_MAX];

	if (worker_may_log(listener->env, CLIENT_LOG_CONNECTION_REFUSED, wire_peer(wire))) {
		log_warning("connection-refused",
			    LOG_STR("client", address_format_host(wire_peer(wire), text)),
			    LOG_STR("reason", reason));
	}
}

/* Returns 0 or a negative errno; @wire is then as before. */
static int wait_for_header(struct listener *listener, struct wire *wire)
{
	const struct proxied_options options = {
		.hub = listener->env->hub,
		.done = on_proxied,
		.failed = on_not_proxied,
		.userdata = listener,
	};
	int r = listener->proxied ? 0 : proxied_new(&options, &listener->proxied);

	return r < 0 ? r
		     : proxied_adopt(listener->proxied, wire,
				     listener->env->config->header_timeout_s);
}

static void on_accepted(void *userdata, int fd, const struct address *peer)
{
	struct listener *listener = userdata;
	const struct config_listener *section = proxied_section(listener, fd);
	enum site_plugin plugin;
	struct wire *wire;
	int one = 1;

	const char *limit = worker_enter_connection(listener->env, peer);

	if (limit) {
		log_refused(listener, peer, limit);
		close(fd);
		return;
	}
	if (section && networks_match(&section->proxy_peers, peer) < 0) {
		/* It could claim any address. */
		log_refused(listener, peer, "proxy_peers");
		close(fd);
		worker_leave_connection(listener->env, peer);
		return;
	}
	if (socket_policy_is_asked(listener->env->config, fd, &plugin)) {
		socket_policy_adopt(listener->env->socket_policy, fd, peer, plugin);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (wire_new(fd, peer, &wire) < 0) {
		close(fd);
		worker_leave_connection(listener->env, peer);
		return;
	}
	if (!section) {
		listener->callbacks->connection(listener->userdata, wire);
	} else if (wait_for_header(listener, wire) < 0) {
		wire_close(wire);
		worker_leave_connection(listener->env, peer);
	}
}

int listener_reload(struct listener *listener, const int *fds, size_t n_fds)
{
	return acceptor_set(listener->acceptor, fds, n_fds);
}

int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks, void *userdata,
		 const int *fds, size_t n_fds, struct listener **ret_listener)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener) {
		return -ENOMEM;
	}
	listener->env = env;
	listener->callbacks = callbacks;
	listener->userdata = userdata;
	int r = acceptor_new(env->loop, on_accepted, listener, &listener->acceptor);

	if (r == 0) {
		r = acceptor_set(listener->acceptor, fds, n_fds);
	}
	if (r < 0) {
		listener_free(listener);
		return r;
	}
	*ret_listener = listener;
	return 0;
}

struct listener *listener_free(struct listener *listener)
{
	if (!listener) {
		return NULL;
	}
	acceptor_free(listener->acceptor);
	proxied_free(listener->proxied);
	free(listener);
	return NULL;
}
