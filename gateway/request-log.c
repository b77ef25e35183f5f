/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_HTTP
#include "gateway/request-log.h"

void request_log_refused(const struct worker_env *env, const struct http_exchange *exchange,
			 struct address client, const char *reason)
{
	unsigned status = http_exchange_status(exchange);
	bool is_origin = status == 403;
	char text[ADDRESS_TEXT_MAX];

	metrics_add(env->metrics, METRIC_REQUESTS_REFUSED, status >= 400);
	if (status < 400 || !worker_may_log(env, CLIENT_LOG_REQUEST_REFUSED, &client)) {
		return;
	}
	log_info("request-refused", LOG_STR("client", address_format_host(&client, text)),
		 LOG_NUMBER("status", status), LOG_STR("reason", reason),
		 LOG_SV("method", http_exchange_method(exchange)),
		 LOG_SV("path", http_exchange_path(exchange)),
		 LOG_SV("origin", is_origin ? http_exchange_header(exchange, "Origin") : SV("")));
}

void request_log_dropped(const struct worker_env *env, struct address client)
{
	char text[ADDRESS_TEXT_MAX];

	metrics_fail(env->metrics, METRICS_HTTP, FAILURE_TOO_MANY_BYTES);
	metrics_refuse(env->metrics, METRIC_REFUSAL_LOGIN_BYTES);
	if (worker_may_log(env, CLIENT_LOG_REQUEST_DROPPED, &client)) {
		log_warning("request-dropped",
			    LOG_STR("client", address_format_host(&client, text)),
			    LOG_STR("failure", failure_name(FAILURE_TOO_MANY_BYTES)));
	}
}

void request_log_unread(const struct worker_env *env, const struct address *client, bool is_for_all)
{
	enum metrics_refusal limit = is_for_all ? METRIC_REFUSAL_FOREIGN_BYTES
						: METRIC_REFUSAL_FOREIGN_BYTES_PER_ADDRESS;
	char text[ADDRESS_TEXT_MAX];

	metrics_fail(env->metrics, METRICS_HTTP, FAILURE_TOO_MANY_BYTES);
	metrics_refuse(env->metrics, limit);
	if (worker_may_log(env, CLIENT_LOG_ANSWER_DROPPED, client)) {
		log_warning("answer-dropped", LOG_STR("client", address_format_host(client, text)),
			    LOG_STR("failure", failure_name(FAILURE_TOO_MANY_BYTES)),
			    LOG_STR("limit", metrics_refusal_name(limit)));
	}
}
