/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_ADMISSION
#include "gateway/admission.h"

#include <errno.h>

#include "common/log.h"

enum {
	/* Bytes of what a client sent as a name or a route: enough to recognise it. */
	WORDS_MAX = 100,
};

static void log_refusal(struct worker_env *env, const struct admission_request *request,
			const struct admission *admission)
{
	char client[ADDRESS_TEXT_MAX];

	if (!worker_may_log(env, CLIENT_LOG_SESSION_REFUSED, request->client)) {
		return;
	}
	log_warning("session-refused",
		    LOG_STR("client", address_format_host(request->client, client)),
		    LOG_STR("transport", metrics_transport_name(request->transport)),
		    LOG_SV("session", request->session), LOG_STR("domain", admission->domain),
		    LOG_STR("failure", failure_name(admission->verdict.kind)),
		    LOG_STR("detail", admission->verdict.detail));
}

static void set_verdict(struct admission *admission, enum failure_kind kind)
{
	failure_set(&admission->verdict, kind, NULL);
}

/* A further stream comes by a request of a session that was admitted. */
static void judge_security(struct worker_env *env, const struct admission_request *request,
			   struct admission *admission)
{
	const char *uri = request->transport == METRICS_BOSH ? env->config->see_other_uri
							     : env->config->websocket_see_other_uri;

	if (request->session.n == 0 && uri[0] && !request->is_secure) {
		failure_set(&admission->verdict, FAILURE_SEE_OTHER_URI, "%s", uri);
		admission->uri = uri;
	}
}

static void judge_domain(struct worker_env *env, const struct admission_request *request,
			 struct admission *admission)
{
	struct failure *verdict = &admission->verdict;

	if (request->to.n == 0) {
		set_verdict(admission, FAILURE_DOMAIN_MISSING);
		return;
	}
	int r = domain_rules_judge(&env->config->domains, request->to, admission->domain,
				   &admission->rule);

	if (r < 0) {
		admission->domain[0] = '\0';
	}
	if (r == -ENOMEM) {
		set_verdict(admission, FAILURE_INTERNAL);
	} else if (r < 0) {
		failure_set(verdict, FAILURE_DOMAIN_MALFORMED, "%.*s",
			    SV_ARGS(sv_first(request->to, WORDS_MAX)));
	} else {
		set_verdict(admission, admission_judge_rule(admission->rule));
	}
	if (verdict->kind == FAILURE_DOMAIN_GONE) {
		failure_set_public(verdict, "%s", admission->domain);
	}
}

enum failure_kind admission_judge_rule(const struct domain_rule *rule)
{
	if (rule && rule->deny) {
		return FAILURE_DOMAIN_REFUSED;
	}
	return rule && rule->is_gone ? FAILURE_DOMAIN_GONE : FAILURE_NONE;
}

void admission_refuse_login(struct worker_env *env, enum throttle_result result, const char *domain,
			    struct failure *ret_failure)
{
	bool is_client = result == THROTTLE_E_CLIENT_LOGINS;

	metrics_refuse(env->metrics, is_client ? METRIC_REFUSAL_FAILED_LOGINS
					       : METRIC_REFUSAL_DOMAIN_FAILED_LOGINS);
	failure_set(ret_failure, FAILURE_FAILED_LOGINS, "%s to %s",
		    is_client ? "of this client" : "in all", domain);
	failure_set_public(ret_failure, "%s", domain);
}

static void judge_client(struct worker_env *env, const struct admission_request *request,
			 struct admission *admission)
{
	const struct config *config = env->config;

	/* It may be behind a proxy that may connect. */
	if (!networks_admit(&config->allowed_clients, &config->denied_clients, request->client)) {
		set_verdict(admission, FAILURE_CLIENT_REFUSED);
		metrics_refuse(env->metrics, METRIC_REFUSAL_CLIENTS);
	}
}

static void judge_rates(struct worker_env *env, const struct admission_request *request,
			struct admission *admission)
{
	struct failure *verdict = &admission->verdict;
	enum throttle_result result =
		throttle_session(env->throttle, &env->config->throttle, request->client,
				 worker_is_exempt(env, request->client), sv_from(admission->domain),
				 worker_now(env));

	switch (result) {
	case THROTTLE_OK:
		break;
	case THROTTLE_E_CLIENT:
		failure_set(verdict, FAILURE_TOO_FAST, "of this client");
		failure_set_public(verdict, NULL);
		metrics_refuse(env->metrics, METRIC_REFUSAL_SESSION_RATE);
		break;
	case THROTTLE_E_DOMAIN:
		failure_set(verdict, FAILURE_TOO_FAST, "to this domain");
		failure_set_public(verdict, "%s", admission->domain);
		metrics_refuse(env->metrics, METRIC_REFUSAL_DOMAIN_SESSION_RATE);
		break;
	case THROTTLE_E_CLIENT_LOGINS:
	case THROTTLE_E_DOMAIN_LOGINS:
		admission_refuse_login(env, result, admission->domain, verdict);
		break;
	}
}

static void judge_route(struct worker_env *env, const struct admission_request *request,
			struct admission *admission)
{
	struct sv words = sv_first(request->route, WORDS_MAX);

	if (request->route.n == 0) {
		return;
	}
	switch (routes_find(&env->config->routes, request->route, admission->domain,
			    &admission->route)) {
	case ROUTE_LISTED:
		break;
	case ROUTE_DEFAULT:
		admission->route.port = 0;
		break;
	case ROUTE_E_REFUSED:
		failure_set(&admission->verdict, FAILURE_ROUTE_REFUSED, "%.*s", SV_ARGS(words));
		break;
	case ROUTE_E_MALFORMED:
		failure_set(&admission->verdict, FAILURE_ROUTE_MALFORMED, "%.*s", SV_ARGS(words));
		break;
	default:
		set_verdict(admission, FAILURE_INTERNAL);
		break;
	}
}

/* How full the gateway is, is nobody's business: clients are told of their own limit and of that of
 * all in the same words. */
static void set_full(struct worker_env *env, struct admission *admission, int r)
{
	struct failure *verdict = &admission->verdict;

	switch (r) {
	case CENSUS_E_CLIENT_FULL:
		metrics_refuse(env->metrics, METRIC_REFUSAL_SESSIONS_PER_ADDRESS);
		failure_set(verdict, FAILURE_TOO_MANY, "of this client");
		failure_set_public(verdict, NULL);
		break;
	case CENSUS_E_FULL:
		metrics_refuse(env->metrics, METRIC_REFUSAL_MAX_SESSIONS);
		failure_set(verdict, FAILURE_TOO_MANY, "in all");
		failure_set_public(verdict, NULL);
		break;
	case CENSUS_E_DOMAIN_FULL:
		metrics_refuse(env->metrics, METRIC_REFUSAL_DOMAIN_SESSIONS);
		failure_set(verdict, FAILURE_TOO_MANY, "to this domain");
		failure_set_public(verdict, "%s", admission->domain);
		break;
	default:
		set_verdict(admission, FAILURE_INTERNAL);
		break;
	}
}

static void take_seats(struct worker_env *env, const struct admission_request *request,
		       struct admission *admission)
{
	const struct domain_rule *rule = admission->rule;
	int r = census_enter_session(env->census, request->client,
				     worker_is_exempt(env, request->client));

	admission->seats.has_client = r == CENSUS_OK;
	if (r == CENSUS_OK && rule && rule->max_sessions) {
		r = census_enter_domain(env->census, admission->domain, rule->max_sessions);
		admission->seats.has_domain = r == CENSUS_OK;
	}
	if (r != CENSUS_OK) {
		admission_leave_client(env, &admission->seats, request->client);
		set_full(env, admission, r);
	}
}

static void judge_shutdown(struct worker_env *env, const struct admission_request *request,
			   struct admission *admission)
{
	(void)request;
	if (env->is_stopping || worker_is_draining(env)) {
		set_verdict(admission, FAILURE_SHUTDOWN);
	}
}

/* In this order; the first that refuses decides. Seats come last, so that a refusal has none to
 * give back. */
static void (*const judges[])(struct worker_env *env, const struct admission_request *request,
			      struct admission *admission) = {
	judge_shutdown, judge_client, judge_security, judge_domain,
	judge_route,    judge_rates,  take_seats,
};

bool admission_judge(struct worker_env *env, const struct admission_request *request,
		     struct admission *ret_admission)
{
	*ret_admission = (struct admission){.verdict.kind = FAILURE_NONE};
	for (size_t i = 0; i < ARRAY_LENGTH(judges); i++) {
		judges[i](env, request, ret_admission);
		if (ret_admission->verdict.kind != FAILURE_NONE) {
			log_refusal(env, request, ret_admission);
			metrics_fail(env->metrics, request->transport, ret_admission->verdict.kind);
			return false;
		}
	}
	ret_admission->is_foreign = !domain_rule_is_known(ret_admission->rule) &&
				    !worker_is_exempt(env, request->client);
	return true;
}

void admission_leave_client(struct worker_env *env, struct admission_seats *seats,
			    const struct address *client)
{
	if (seats->has_client) {
		seats->has_client = false;
		census_leave_session(env->census, client);
	}
}

void admission_leave_domain(struct worker_env *env, struct admission_seats *seats,
			    const char *domain)
{
	if (seats->has_domain) {
		seats->has_domain = false;
		census_leave_domain(env->census, domain);
	}
}
