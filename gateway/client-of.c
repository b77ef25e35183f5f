/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_ADMISSION
#include "gateway/client-of.h"

#include "common/log.h"

/* Returns 0 or -ENOMEM with the peer, as if there were no such headers. */
static int read_client(const struct worker_env *env, const struct http_exchange *exchange,
		       struct forwarded_client *ret_client)
{
	_cleanup_(buffer_deinit) struct buffer addresses = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer protos = BUFFER_INIT;
	const struct config *config = env->config;
	struct forwarded_headers headers = {0};
	int r;

	if (config->forwarded == FORWARDED_RFC7239) {
		r = http_exchange_header_list(exchange, "Forwarded", &addresses,
					      &headers.forwarded);
	} else {
		r = http_exchange_header_list(exchange, "X-Forwarded-For", &addresses,
					      &headers.x_for);
		if (r == 0) {
			r = http_exchange_header_list(exchange, "X-Forwarded-Proto", &protos,
						      &headers.x_proto);
		}
	}
	if (r < 0) {
		*ret_client = (struct forwarded_client){.address = *http_exchange_peer(exchange)};
		return r;
	}
	*ret_client = forwarded_client(&config->proxies, config->forwarded,
				       http_exchange_peer(exchange), &headers);
	return 0;
}

int client_of(const struct worker_env *env, const struct http_exchange *exchange,
	      struct forwarded_client *ret_client)
{
	const struct address *peer = http_exchange_peer(exchange);

	/* This is asked for each request, and most come straight from the client. */
	if (networks_contain(&env->config->proxies, peer)) {
		return read_client(env, exchange, ret_client);
	}
	*ret_client = (struct forwarded_client){.address = *peer,
						.is_secure = http_exchange_is_secure(exchange)};
	return 0;
}

void client_warn_ignored(struct worker_env *env, const struct http_exchange *exchange)
{
	const struct address *peer = http_exchange_peer(exchange);
	struct forwarded_client client;
	char text[ADDRESS_TEXT_MAX];

	if (read_client(env, exchange, &client) == 0 && client.is_ignored &&
	    throttle_warning(env->throttle, peer, worker_now(env))) {
		log_warning("forwarded-ignored", LOG_STR("client", address_format_host(peer, text)),
			    LOG_STR("hint", "if this is your proxy, list it in trusted_proxies"));
	}
}
