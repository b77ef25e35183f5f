/* SPDX-License-Identifier: MIT */
#include "gateway/listener/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/connection-log.h"
#include "gateway/listener/socket-policy.h"

struct listener {
	struct worker_env *env;
	const struct listener_callbacks *callbacks;
	void *userdata;
	struct snapshot *snapshot; /* that of the sockets */
	struct acceptor *acceptor;
};

/* Whether @peer may connect. A unix socket has permissions instead. */
static bool admits(const struct config_listener *config, const struct address *peer)
{
	if (config->kind == CONFIG_LISTENER_UNIX) {
		return true;
	}
	return networks_admit(&config->allow, &config->deny, peer) &&
	       (config->proxy == DOMAIN_PROXY_OFF || networks_contain(&config->proxy_peers, peer));
}

/* Gives the connection a seat. Returns NULL, or the name of what refuses it. */
static const char *enter(struct listener *listener, const struct config_listener *config,
			 const struct address *peer)
{
	if (config && !admits(config, peer)) {
		metrics_refuse(listener->env->metrics, METRIC_REFUSAL_LISTENER);
		return metrics_refusal_name(METRIC_REFUSAL_LISTENER);
	}
	return config && config->proxy != DOMAIN_PROXY_OFF
		     ? worker_enter_proxy(listener->env, peer)
		     : worker_enter_connection(listener->env, peer);
}

static int make_wire(const struct listener *listener, int fd, const struct address *peer, int index,
		     struct wire **ret_wire)
{
	const struct config_listener *config = &listener->snapshot->config->listeners.list[index];
	SSL_CTX *tls = listener->snapshot->tls[index];
	const int on = config->nodelay;
	struct wire *wire;

	if (config->kind != CONFIG_LISTENER_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	int r = wire_new(fd, peer, &wire);

	if (r < 0) {
		close(fd);
		return r;
	}
	wire_set_idle(wire, config->idle_s);
	if (tls && wire_expect_tls(wire, tls) < 0) {
		wire_close(wire);
		return -ENOMEM;
	}
	*ret_wire = wire;
	return 0;
}

/* @index is that of the listener in the snapshot. */
static void on_accepted(void *userdata, int fd, const struct address *peer, int index)
{
	struct listener *listener = userdata;
	const struct config_listener *config =
		index == LISTENING_PLUGIN ? NULL
					  : &listener->snapshot->config->listeners.list[index];
	enum site_plugin plugin;
	struct wire *wire;
	const char *limit = enter(listener, config, peer);

	if (limit) {
		connection_log_refused(listener->env, peer, limit);
		close(fd);
		return;
	}
	if (socket_policy_is_asked(listener->env->config, fd, &plugin)) {
		socket_policy_adopt(listener->env->socket_policy, fd, peer, plugin, true);
		return;
	}
	if (!config) {
		/* The configuration no longer has the port. */
		close(fd);
		worker_leave_connection(listener->env, peer);
		return;
	}
	if (make_wire(listener, fd, peer, index, &wire) < 0) {
		worker_leave_connection(listener->env, peer);
		return;
	}
	listener->callbacks->connection(listener->userdata, wire,
					config->proxy != DOMAIN_PROXY_OFF);
}

int listener_reload(struct listener *listener, const struct worker_update *update)
{
	/* What waits in the earlier sockets is accepted as the earlier snapshot says. */
	int r = acceptor_set(listener->acceptor, update->sockets, update->n_sockets);

	if (r == 0) {
		snapshot_unref(listener->snapshot);
		listener->snapshot = snapshot_ref(update->snapshot);
	}
	return r;
}

int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks, void *userdata,
		 const struct worker_update *update, struct listener **ret_listener)
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
		r = listener_reload(listener, update);
	}
	if (r < 0) {
		listener_free(listener);
		return r;
	}
	*ret_listener = listener;
	return 0;
}

void listener_finish(struct listener *listener)
{
	/* Without a new socket nothing can fail. */
	(void)!acceptor_set(listener->acceptor, NULL, 0);
}

struct listener *listener_free(struct listener *listener)
{
	if (!listener) {
		return NULL;
	}
	acceptor_free(listener->acceptor);
	snapshot_unref(listener->snapshot);
	free(listener);
	return NULL;
}
