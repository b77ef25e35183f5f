/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/endpoint-state.h"

void bosh_leg_close(struct bosh_leg *leg, bool drop)
{
	struct bosh_entry *session = leg->session;

	leg->link = drop ? link_drop(leg->link) : link_close(leg->link);
	if (leg->counted) {
		leg->counted = false;
		census_leave_session(session->endpoint->env->census, &session->client);
	}
}

static enum bosh_condition judge_route(const struct bosh_endpoint *endpoint, struct sv route,
				       struct bosh_place *place, const char **ret_text)
{
	place->route.port = 0;
	if (route.n == 0) {
		return BOSH_CONDITION_NONE;
	}
	switch (routes_find(&endpoint->env->config->routes, route, place->domain, &place->route)) {
	case ROUTE_LISTED:
		return BOSH_CONDITION_NONE;
	case ROUTE_DEFAULT:
		place->route.port = 0;
		return BOSH_CONDITION_NONE;
	case ROUTE_E_REFUSED:
		*ret_text = "this gateway finds the server by DNS and does not take that 'route'";
		return BOSH_CONDITION_HOST_UNKNOWN;
	case ROUTE_E_MALFORMED:
		*ret_text = "'route' is not of the form xmpp:host:port";
		return BOSH_CONDITION_BAD_REQUEST;
	default:
		*ret_text = failure_sentence(FAILURE_INTERNAL);
		return BOSH_CONDITION_INTERNAL_SERVER_ERROR;
	}
}

enum bosh_condition bosh_target_judge(const struct bosh_endpoint *endpoint, const struct bosh_target *target,
				      struct bosh_place *ret_place, const char **ret_text)
{
	if (endpoint->shut) {
		*ret_text = failure_sentence(FAILURE_SHUTDOWN);
		return BOSH_CONDITION_SYSTEM_SHUTDOWN;
	}
	if (target->to.n == 0) {
		*ret_text = "a session needs a 'to'";
		return BOSH_CONDITION_IMPROPER_ADDRESSING;
	}
	if (domain_to_ascii(target->to, ret_place->domain) < 0) {
		*ret_text = "'to' is not the name of a domain";
		return BOSH_CONDITION_HOST_UNKNOWN;
	}
	ret_place->rule = domain_rules_find(&endpoint->env->config->domains, ret_place->domain);
	if (ret_place->rule && ret_place->rule->deny) {
		*ret_text = failure_sentence(FAILURE_DOMAIN_REFUSED);
		return BOSH_CONDITION_HOST_UNKNOWN;
	}
	return judge_route(endpoint, target->route, ret_place, ret_text);
}

struct bosh_leg *bosh_leg_find(const struct bosh_entry *session, unsigned stream)
{
	struct bosh_leg *leg;

	SLIST_FOREACH (leg, &session->legs, in_session) {
		if (leg->stream == stream) {
			break;
		}
	}
	return leg;
}

struct bosh_leg *bosh_leg_new(struct bosh_entry *session, unsigned stream, const char *domain)
{
	size_t n_domain = strlen(domain);
	struct bosh_leg *leg = calloc(1, sizeof(*leg) + n_domain + 1);
	struct bosh_leg *former = bosh_leg_find(session, stream);

	if (leg) {
		if (former) {
			SLIST_REMOVE(&session->legs, former, bosh_leg, in_session);
			free(former);
		}
		leg->session = session;
		leg->stream = stream;
		memcpy(leg->domain, domain, n_domain);
		SLIST_INSERT_HEAD(&session->legs, leg, in_session);
	}
	return leg;
}

int bosh_leg_open(struct bosh_entry *session, unsigned stream, const struct bosh_target *target,
		     const struct bosh_place *place, bool counted,
		  const struct link_callbacks *callbacks)
{
	struct stream_target stream_target = {
		.to = sv_from(place->domain),
		.from = target->from,
		.lang = target->lang,
		.version = target->version,
		.client = &session->client,
		.route = place->route.port ? &place->route : NULL,
	};
	struct bosh_leg *leg = bosh_leg_new(session, stream, place->domain);

	if (!leg) {
		return -ENOMEM;
	}
	int r = link_new(&session->endpoint->env->link, &stream_target, place->rule, callbacks, leg,
			 &leg->link);

	leg->counted = counted && r == 0;
	return r;
}
