/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/acceptor.h"
#include "gateway/socket-policy.h"

struct listener {
	struct worker_env *env;
	const struct listener_callbacks *callbacks;
	void *userdata;
	struct acceptor *acceptor;
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

static void on_accepted(void *userdata, int fd, const struct address *peer)
{
	struct listener *listener = userdata;
	enum site_plugin plugin;
	struct wire *wire;
	int one = 1;

	const char *limit = worker_enter_connection(listener->env, peer);

	if (limit) {
		log_refused(listener, peer, limit);
		close(fd);
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
	listener->callbacks->connection(listener->userdata, wire);
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
	free(listener);
	return NULL;
}
