/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whether a client may open a session, and to where. Both transports (bosh/, ws/) ask here, so that
 * the same request gets the same verdict, the same log line and the same counter whichever way it
 * came. Whatever limits clients belongs behind this header.
 *
 * verdict  FAILURE_NONE, or the reason for the refusal (failure.h), which the client is told
 * seat     a place in the census (policy/census.h). A session takes two: the client's seat counts
 *          towards the limits for one client and for all clients, the domain's seat towards
 *          max_sessions of the domain section
 * foreign  a session to a domain that the operator does not know (domain_rule_is_known()). That it
 *          has logged in means nothing: the server may be an attacker's own and say so to anybody.
 *          What it holds stays bounded (policy/budget.h). Sessions of exempt clients never are
 * stream   a further stream of a BOSH session (XEP-0124, "Multiple Streams"): it costs as much as a
 *          session, so it needs the same seats
 */
#include "gateway/env.h"
#include "gateway/failure.h"
#include "policy/domain-rules.h"
#include "policy/route.h"

/* Who wants to go where. Borrowed for the call. */
struct admission_request {
	enum metrics_transport transport; /* METRICS_BOSH or METRICS_WEBSOCKET */
	const struct address *client;
	bool is_secure;    /* it came over TLS, as a trusted proxy says */
	struct sv session; /* in the log, if one more stream of it is wanted; else empty */
	struct sv to;      /* in the client's words */
	struct sv route;   /* likewise; empty: none. BOSH only */
};

struct admission_seats {
	bool has_client, has_domain;
};

struct admission {
	struct failure verdict;
	const char *uri;                /* for FAILURE_SEE_OTHER_URI: where to go. Borrowed */
	char domain[DOMAIN_MAX + 1];    /* ASCII form; "" if `to` is missing or malformed */
	const struct domain_rule *rule; /* that applies to the domain; NULL: none. Borrowed */
	struct redirect route;          /* port 0: none, or one that says no more than `to` */
	bool is_foreign;
	struct admission_seats seats; /* the caller's, who gives each of them back */
};

/* Judges @request. Returns whether it is admitted. If not, the refusal has been logged and counted,
 * no seat is taken, and the client is to be told the verdict: FAILURE_INTERNAL means out of
 * memory. */
_must_check_ bool admission_judge(struct worker_env *env, const struct admission_request *request,
				  struct admission *ret_admission);

/* What @rule alone says about sessions to its domain; it may be NULL. FAILURE_NONE, _DOMAIN_REFUSED
 * or _DOMAIN_GONE. */
enum failure_kind admission_judge_rule(const struct domain_rule *rule);

/* Fills in what the client is told when @result, a THROTTLE_E_*_LOGINS, refuses its session to
 * @domain or ends it, and counts that. */
void admission_refuse_login(struct worker_env *env, enum throttle_result result, const char *domain,
			    struct failure *ret_failure);

/* Give a seat back, if it is in @seats. */
void admission_leave_client(struct worker_env *env, struct admission_seats *seats,
			    const struct address *client);
void admission_leave_domain(struct worker_env *env, struct admission_seats *seats,
			    const char *domain);
