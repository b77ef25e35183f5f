/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/listener/socket-policy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/connection-log.h"
#include "policy/policy-request.h"

struct socket_policy {
	struct worker_env *env;
	struct wire_hub *hub;
	struct waiting_room room; /* whose request has not arrived yet; state: enum site_plugin */
};

static bool has_port(const struct config_addresses *addresses, uint16_t port)
{
	for (size_t i = 0; i < addresses->n; i++) {
		if (address_port(&addresses->list[i]) == port) {
			return true;
		}
	}
	return false;
}

bool socket_policy_is_asked(const struct config *config, int fd, enum site_plugin *ret_plugin)
{
	const struct config_web *web = &config->web;
	struct sockaddr_storage storage;
	socklen_t n = sizeof(storage);
	struct address own;

	if (web->flash_listen.n + web->silverlight_listen.n == 0 ||
	    getsockname(fd, (struct sockaddr *)&storage, &n) < 0 ||
	    address_from_sockaddr((struct sockaddr *)&storage, &own) < 0) {
		return false;
	}
	bool is_flash = has_port(&web->flash_listen, address_port(&own));

	*ret_plugin = is_flash ? SITE_PLUGIN_FLASH : SITE_PLUGIN_SILVERLIGHT;
	return is_flash || has_port(&web->silverlight_listen, address_port(&own));
}

/* Connections. */

static struct socket_policy *owner_of(const struct waiting *asker)
{
	return CONTAINER_OF(asker->room, struct socket_policy, room);
}

static void drop(struct waiting *asker)
{
	wire_close(waiting_leave(asker));
}

static void answer(struct waiting *asker, size_t n_request)
{
	bool is_flash = asker->state == SITE_PLUGIN_FLASH;
	struct sv text =
		site_socket_policy(owner_of(asker)->env->site, (enum site_plugin)asker->state);
	char end = '\0';
	struct iovec parts[] = {{.iov_base = (char *)(uintptr_t)text.data, .iov_len = text.n},
				{.iov_base = &end, .iov_len = 1}};
	char client[ADDRESS_TEXT_MAX];

	log_debug("socket-policy",
		  LOG_STR("client", address_format_host(wire_peer(asker->wire), client)),
		  LOG_STR("plugin", is_flash ? "flash" : "silverlight"));
	wire_take(asker->wire, n_request);
	if (wire_send(asker->wire, parts, is_flash ? 2 : 1) < 0) {
		drop(asker);
		return;
	}
	wire_linger(waiting_leave(asker));
}

static void refuse(struct waiting *asker, const char *reason)
{
	const struct address *peer = wire_peer(asker->wire);
	char client[ADDRESS_TEXT_MAX];

	if (worker_may_log(owner_of(asker)->env, CLIENT_LOG_CONNECTION_REFUSED, peer)) {
		log_info("connection-refused", LOG_STR("client", address_format_host(peer, client)),
			 LOG_STR("reason", reason));
	}
	drop(asker);
}

static void on_ready(void *user)
{
	struct waiting *asker = user;
	bool is_over = wire_is_hung_up(asker->wire);
	struct sv bytes = SV_EMPTY;
	enum wire_result r = wire_peek(asker->wire, POLICY_REQUEST_LENGTH, &bytes);

	if (r == WIRE_AGAIN && !is_over) {
		return;
	}
	if (r != WIRE_OK) {
		drop(asker);
		return;
	}
	switch (policy_request_judge(bytes)) {
	case POLICY_REQUEST_WHOLE:
		answer(asker, bytes.n);
		return;
	case POLICY_REQUEST_BARE:
		if (is_over || asker->state == SITE_PLUGIN_SILVERLIGHT) {
			answer(asker, bytes.n);
		}
		return;
	case POLICY_REQUEST_MORE:
		if (is_over) {
			drop(asker);
		}
		return;
	case POLICY_REQUEST_OTHER:
		refuse(asker, "not a policy file request");
		return;
	}
}

static void on_late(void *user)
{
	refuse(user, "no policy file request in time");
}

static const struct wire_callbacks wire_callbacks = {.ready = on_ready, .late = on_late};

static void on_closed(void *userdata, const struct address *peer)
{
	struct socket_policy *policy = userdata;

	worker_leave_connection(policy->env, peer);
}

/* Takes @fd, also on failure. Returns 0 or a negative errno. */
static int adopt(struct socket_policy *policy, int fd, const struct address *peer,
		 enum site_plugin plugin, bool has_seat)
{
	struct wire *wire;
	int r = wire_new(fd, peer, &wire);

	if (r < 0) {
		close(fd);
		return r;
	}
	if (!has_seat) {
		wire_set_silent(wire);
	}
	r = waiting_enter(&policy->room, wire, plugin, SOCKET_POLICY_TIMEOUT_S);
	if (r < 0) {
		/* `closed` is not called for a wire of no hub. */
		wire_close(wire);
	}
	return r;
}

void socket_policy_adopt(struct socket_policy *policy, int fd, const struct address *peer,
			 enum site_plugin plugin, bool has_seat)
{
	int r = adopt(policy, fd, peer, plugin, has_seat);

	if (r < 0) {
		connection_log_lost(policy->env, peer, r);
	}
	if (r < 0 && has_seat) {
		worker_leave_connection(policy->env, peer);
	}
}

/* Creating and ending. */

int socket_policy_new(struct worker_env *env, struct socket_policy **ret_policy)
{
	struct socket_policy *policy = calloc(1, sizeof(*policy));

	if (!policy) {
		return -ENOMEM;
	}
	policy->env = env;
	int r = wire_hub_new(&(struct wire_hub_options){.loop = env->loop,
							.closed = on_closed,
							.userdata = policy},
			     &policy->hub);

	if (r < 0) {
		free(policy);
		return r;
	}
	policy->room = (struct waiting_room){.hub = policy->hub, .callbacks = &wire_callbacks};
	*ret_policy = policy;
	return 0;
}

void socket_policy_close(struct socket_policy *policy)
{
	if (!policy) {
		return;
	}
	while (!LIST_EMPTY(&policy->room.all)) {
		drop(LIST_FIRST(&policy->room.all));
	}
	wire_hub_close(policy->hub);
}

struct socket_policy *socket_policy_free(struct socket_policy *policy)
{
	if (policy) {
		wire_hub_free(policy->hub);
		free(policy);
	}
	return NULL;
}
