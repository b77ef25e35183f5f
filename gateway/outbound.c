/* SPDX-License-Identifier: MIT */
#include "gateway/outbound.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/xmpp/namespace.h"

static int make_resolver(struct link_env *env, const struct config *config,
			 const struct lookup_observer *observer)
{
	const struct resolver_options options = {
		.servers = config->resolvers,
		.timeout_ms = config->dns_timeout_ms,
		.n_tries = config->n_dns_tries,
		.observer = observer,
	};

	return resolver_new(env->dialer.loop, &options, &env->dialer.resolver);
}

int outbound_init(struct link_env *env, uv_loop_t *loop, const struct config *config,
		  const struct lookup_observer *observer)
{
	*env = (struct link_env){
		.dialer =
			{
				.loop = loop,
				.ports = &config->ports,
				.connect_timeout_ms = (int64_t)config->connect_timeout_s * 1000,
				.read_buffer = malloc(TRANSPORT_READ_SIZE),
				.history = calloc(1, sizeof(struct history)),
			},
		.open_timeout_ms = (int64_t)config->open_timeout_s * 1000,
		.trusts_dnssec = config->trusts_dnssec,
		/* What had been accepted when the server stopped reading, and all that a BOSH
		 * client may have under way then. */
		.n_waiting_max = TRANSPORT_HIGH_WATER + (config->hold + 2) * config->n_body_max,
		.scan_options = stream_options(config->n_stanza_max),
	};
	keepalive_init(&env->keepalive, loop, config->keepalive_s, link_keep_alive);
	gather_init(&env->gather, loop, link_write_gathered);
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
	return make_resolver(env, config, observer);
}

void outbound_close(struct link_env *env)
{
	env->dialer.resolver = resolver_free(env->dialer.resolver);
	keepalive_close(&env->keepalive);
	gather_close(&env->gather);
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
