/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_ADMISSION
#include "gateway/login-guard.h"

#include "common/log.h"

static bool is_exempt(const struct session_log *log)
{
	return worker_is_exempt(log->env, log->client);
}

bool login_guard_sent(const struct session_log *log, const char *domain, struct link *link,
		      struct sv elements, struct failure *ret_failure)
{
	struct worker_env *env = log->env;
	unsigned n_open = link_sent(link, elements);

	if (n_open == 0 || is_exempt(log)) {
		return true;
	}
	if (n_open > LOGIN_OPEN_MAX) {
		failure_set(ret_failure, FAILURE_FAILED_LOGINS, "several at once");
		metrics_refuse(env->metrics, METRIC_REFUSAL_FAILED_LOGINS);
		return false;
	}
	enum throttle_result result = throttle_login(env->throttle, &env->config->throttle,
						     log->client, sv_from(domain), worker_now(env));

	if (result != THROTTLE_OK) {
		admission_refuse_login(env, result, domain, ret_failure);
	}
	return result == THROTTLE_OK;
}

static void log_failed(const struct session_log *log, const char *domain,
		       const struct stream *stream)
{
	char client[ADDRESS_TEXT_MAX];

	metrics_fail(log->env->metrics, log->transport, FAILURE_LOGIN_FAILED);
	if (!worker_may_log(log->env, CLIENT_LOG_AUTH_FAILED, log->client)) {
		return;
	}
	log_info("auth-failed", LOG_STR("client", address_format_host(log->client, client)),
		 LOG_STR("transport", metrics_transport_name(log->transport)),
		 LOG_STR("session", log->name), LOG_STR("domain", domain),
		 LOG_STR("mechanism", stream->login.mechanism),
		 LOG_SV("condition", stream->login_condition));
}

bool login_guard_received(const struct session_log *log, const char *domain, struct link *link,
			  struct failure *ret_failure)
{
	struct worker_env *env = log->env;
	const struct stream *stream = link_stream(link);
	enum throttle_result result = THROTTLE_OK;

	switch (stream->login_result) {
	case LOGIN_NONE:
		return true;
	case LOGIN_SUCCEEDED:
		throttle_login_succeeded(env->throttle, log->client, sv_from(domain),
					 worker_now(env));
		return true;
	case LOGIN_UNTRIED:
		log_failed(log, domain, stream);
		return true;
	case LOGIN_FAILED:
		log_failed(log, domain, stream);
		break;
	}
	if (!is_exempt(log)) {
		result = throttle_login_failed(env->throttle, &env->config->throttle, log->client,
					       sv_from(domain), worker_now(env));
	}
	if (result != THROTTLE_OK) {
		admission_refuse_login(env, result, domain, ret_failure);
	}
	return result == THROTTLE_OK;
}

void login_guard_left(const struct session_log *log, const char *domain, struct link *link)
{
	struct worker_env *env = log->env;
	const struct stream *stream = link_stream(link);
	unsigned n_open = stream->is_logged_in ? 0 : stream->login.n_open;

	if (n_open == 0 || is_exempt(log)) {
		return;
	}
	/* Of more, none has reached the server. */
	n_open = n_open < LOGIN_OPEN_MAX ? n_open : LOGIN_OPEN_MAX;
	for (unsigned i = 0; i < n_open; i++) {
		/* The next session is refused, or the next try. */
		(void)!throttle_login_failed(env->throttle, &env->config->throttle, log->client,
					     sv_from(domain), worker_now(env));
	}
}
