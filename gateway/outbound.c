/* SPDX-License-Identifier: MIT */
#include "gateway/outbound.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/xmpp/namespace.h"

static struct resolver_options resolver_options(const struct config *config, struct turn *turn,
						const struct lookup_observer *observer)
{
	return (struct resolver_options){
		.servers = config->resolvers,
		.timeout_ms = config->dns_timeout_ms,
		.n_tries = config->n_dns_tries,
		.observer = observer,
		.turn = turn,
	};
}

/* What links read from the configuration when they begin. */
static void set_config(struct link_env *env, const struct config *config)
{
	env->config = config;
	env->dialer.ports = &config->ports;
	env->dialer.connect_timeout_ms = (int64_t)config->connect_timeout_s * 1000;
	/* A proxy has as long as all else together: Tor may need ten seconds and more. */
	env->dialer.tunnel_timeout_ms = (int64_t)config->open_timeout_s * 1000;
	env->dialer.sources = &config->sources;
	env->open_timeout_ms = (int64_t)config->open_timeout_s * 1000;
	env->login_timeout_ms = (int64_t)config->login_timeout_s * 1000;
	env->trusts_dnssec = config->trusts_dnssec;
	/* What had been accepted when the server stopped reading, and all that a BOSH client may
	 * have under way then. */
	env->n_waiting_max = TRANSPORT_HIGH_WATER + (config->hold + 2) * config->n_body_max;
	env->n_waiting_full = TRANSPORT_HIGH_WATER + config->n_body_max;
	env->scan_options = stream_options(config->n_stanza_max);
}

int outbound_reload(struct link_env *env, const struct config *config)
{
	const struct resolver_options options = resolver_options(config, env->dialer.turn, NULL);

	set_config(env, config);
	keepalive_set_interval(&env->keepalive, config->keepalive_s);
	tls_store_renew(env->tls_store);
	return resolver_reload(env->dialer.resolver, &options);
}

int outbound_init(struct link_env *env, uv_loop_t *loop, const struct config *config,
		  struct turn *turn, const struct lookup_observer *observer)
{
	*env = (struct link_env){
		.dialer =
			{
				.loop = loop,
				.turn = turn,
				.read_buffer = malloc(TRANSPORT_READ_SIZE),
				.history = calloc(1, sizeof(struct history)),
			},
	};
	set_config(env, config);
	keepalive_init(&env->keepalive, loop, config->keepalive_s, link_keep_alive);
	TAILQ_INIT(&env->returning);
	outbox_init(&env->outbox, loop, link_write_gathered);
	if (!env->dialer.read_buffer || !env->dialer.history) {
		return -ENOMEM;
	}
	int r = xml_pool_new(namespaces, NS_COUNT, &env->pool);

	if (r < 0) {
		return r;
	}
	r = tls_store_new(&env->tls_store);
	if (r < 0) {
		return r;
	}
	r = turn ? helper_new(loop, turn, &env->dialer.helper) : 0;
	if (r < 0) {
		return r;
	}
	const struct resolver_options options = resolver_options(config, turn, observer);

	return resolver_new(loop, &options, &env->dialer.resolver);
}

void outbound_close(struct link_env *env)
{
	env->dialer.resolver = resolver_free(env->dialer.resolver);
	keepalive_close(&env->keepalive);
	outbox_close(&env->outbox);
	env->dialer.helper = helper_free(env->dialer.helper);
}

void outbound_deinit(struct link_env *env)
{
	env->tls_store = tls_store_free(env->tls_store);
	env->pool = xml_pool_free(env->pool);
	free(env->dialer.read_buffer);
	free(env->dialer.history);
	env->dialer.read_buffer = NULL;
	env->dialer.history = NULL;
}
