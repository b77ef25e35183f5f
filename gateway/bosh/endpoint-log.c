/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/endpoint-state.h"

void bosh_entry_log(const struct bosh_entry *session, const char *event, const char *domain)
{
	char client[ADDRESS_TEXT_MAX];

	if (!session->is_logged) {
		return;
	}
	log_info(event, LOG_STR("client", address_format_host(&session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", domain));
}

void bosh_entry_log_rule(const struct bosh_entry *session, enum bosh_rule rule,
			 const char *domain)
{
	char client[ADDRESS_TEXT_MAX];

	if (!rule) {
		return;
	}
	if (rule != BOSH_RULE_INACTIVITY && rule != BOSH_RULE_OUT_OF_MEMORY) {
		counters_add(session->endpoint->env->counters, FAILURE_CLIENT);
	}
	if (!session->is_logged) {
		return;
	}
	log_info("session-ended", LOG_STR("client", address_format_host(&session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", domain),
		 LOG_STR("rule", bosh_rule_name(rule)));
}

bool bosh_entry_may_log_stream(const struct bosh_entry *session)
{
	return session->is_logged &&
	       worker_may_log(session->endpoint->env, CLIENT_LOG_STREAM, &session->client);
}

void bosh_leg_log_failure(const struct bosh_leg *leg, const struct failure *failure)
{
	char client[ADDRESS_TEXT_MAX];

	if (!bosh_entry_may_log_stream(leg->session)) {
		return;
	}
	log_info("session-failed",
		 LOG_STR("client", address_format_host(&leg->session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(leg->session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", leg->domain), LOG_STR("failure", failure_name(failure->kind)),
		 LOG_STR("detail", failure->detail));
}
