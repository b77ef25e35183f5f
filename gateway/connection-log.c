/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/connection-log.h"

#include "common/log.h"

void connection_log_refused(const struct worker_env *env, const struct address *peer,
			    const char *limit)
{
	char text[ADDRESS_TEXT_MAX];

	if (worker_may_log(env, CLIENT_LOG_CONNECTION_REFUSED, peer)) {
		log_warning("connection-refused",
			    LOG_STR("client", address_format_host(peer, text)),
			    LOG_STR("limit", limit));
	}
}

void connection_log_failed(const struct worker_env *env, const struct address *peer,
			   const char *event, const char *reason)
{
	char text[ADDRESS_TEXT_MAX];

	if (worker_may_log(env, CLIENT_LOG_HANDSHAKE_FAILED, peer)) {
		log_info(event, LOG_STR("client", address_format_host(peer, text)),
			 LOG_STR("reason", reason));
	}
}

void connection_log_lost(const struct worker_env *env, const struct address *peer, int r)
{
	char text[ADDRESS_TEXT_MAX];

	if (worker_may_log(env, CLIENT_LOG_CONNECTION_FAILED, peer)) {
		log_error("connection-failed", LOG_STR("client", address_format_host(peer, text)),
			  LOG_STR("error", strerror(-r)));
	}
}
