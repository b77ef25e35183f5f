/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_ADMISSION
#include "gateway/client-of.h"

#include "common/log.h"

static struct forwarded_client read_client(const struct worker_env *env,
					   const struct http_exchange *exchange)
{
	_cleanup_(buffer_deinit) struct buffer addresses = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer protos = BUFFER_INIT;
	const struct config *config = env->config;
	struct forwarded_headers headers = {0};

	if (config->forwarded == FORWARDED_RFC7239) {
		headers.forwarded = http_exchange_header_list(exchange, "Forwarded", &addresses);
	} else {
		headers.x_for = http_exchange_header_list(exchange, "X-Forwarded-For", &addresses);
		headers.x_proto = http_exchange_header_list(exchange, "X-Forwarded-Proto", &protos);
	}
	return forwarded_client(&config->proxies, config->forwarded, http_exchange_peer(exchange),
				&headers);
}

struct forwarded_client client_of(const struct worker_env *env,
				  const struct http_exchange *exchange)
{
	const struct address *peer = http_exchange_peer(exchange);

	/* This is asked for each request, and most come straight from the client. */
	return client_is_proxy(&env->config->proxies, peer)
		     ? read_client(env, exchange)
		     : (struct forwarded_client){.address = *peer,
						 .is_secure = http_exchange_is_secure(exchange)};
}

void client_warn_ignored(struct worker_env *env, const struct http_exchange *exchange)
{
	const struct address *peer = http_exchange_peer(exchange);
	char text[ADDRESS_TEXT_MAX];

	if (read_client(env, exchange).is_ignored &&
	    throttle_warning(env->throttle, peer, worker_now(env))) {
		log_warning("forwarded-ignored", LOG_STR("client", address_format_host(peer, text)),
			    LOG_STR("hint", "if this is your proxy, list it in trusted_proxies"));
	}
}
