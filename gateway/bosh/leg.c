/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/endpoint-state.h"

static struct bosh_actions *actions_of(const struct bosh_leg *leg)
{
	return &leg->session->endpoint->actions;
}

static struct mono now_of(const struct bosh_leg *leg)
{
	return bosh_endpoint_now(leg->session->endpoint);
}

/* Asked for each stream: one session can open and lose any number of them. */
static bool may_log(const struct bosh_entry *session)
{
	return session->is_logged &&
	       worker_may_log(session->endpoint->env, CLIENT_LOG_STREAM, &session->client);
}

static void log_failure(const struct bosh_leg *leg, const struct failure *failure)
{
	char client[ADDRESS_TEXT_MAX];

	if (!may_log(leg->session)) {
		return;
	}
	log_info("session-failed",
		 LOG_STR("client", address_format_host(&leg->session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(leg->session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", leg->domain), LOG_STR("failure", failure_name(failure->kind)),
		 LOG_STR("detail", failure->detail));
}

int bosh_leg_fail(struct bosh_leg *leg, const struct failure *failure)
{
	log_failure(leg, failure);
	counters_add(leg->session->endpoint->env->counters, failure->kind);
	return bosh_session_fail(leg->session->engine, leg->stream, failure, now_of(leg),
				 actions_of(leg));
}

void bosh_leg_close(struct bosh_leg *leg, bool drop)
{
	struct bosh_entry *session = leg->session;

	leg->link = drop ? link_drop(leg->link) : link_close(leg->link);
	if (leg->counted) {
		leg->counted = false;
		census_leave_session(session->endpoint->env->census, &session->client);
	}
}

/* From the server. */

/* The stream is the client's: what it waits for comes with this turn, if at all. */
static void on_header(void *userdata)
{
	struct bosh_leg *leg = userdata;
	const struct stream *stream = link_stream(leg->link);
	int r = bosh_session_header(leg->session->engine, leg->stream, stream->id,
				    stream->from ? stream->from : leg->domain);

	(void)bosh_session_pending(leg->session->engine, leg->stream, false, true);
	bosh_entry_settle(leg->session, r);
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct bosh_leg *leg = userdata;
	struct bosh_session *engine = leg->session->engine;
	const struct stream *stream = link_stream(leg->link);
	int r = stream_event_write(stream, bosh_session_pending(engine, leg->stream,
								stream_event_is_stream(stream),
								kind == STREAM_EVENT_FEATURES));

	if (stream->managed) {
		bosh_session_set_managed(engine, leg->stream);
	}
	if (r < 0) {
		bosh_entry_settle(leg->session, r);
	}
}

static void on_flush(void *userdata)
{
	struct bosh_leg *leg = userdata;

	bosh_entry_settle(leg->session, bosh_session_flush(leg->session->engine, now_of(leg),
								actions_of(leg)));
}

static void on_drained(void *userdata)
{
	struct bosh_leg *leg = userdata;

	bosh_entry_settle(leg->session,
			    bosh_session_congest(leg->session->engine, leg->stream, false, now_of(leg),
						 actions_of(leg)));
}

static void on_over(void *userdata, const struct failure *failure)
{
	struct bosh_leg *leg = userdata;
	int r = bosh_leg_fail(leg, failure);

	bosh_leg_close(leg, false);
	bosh_entry_settle(leg->session, r);
}

static const struct link_callbacks link_callbacks = {
	.header = on_header,
	.element = on_element,
	.flush = on_flush,
	.drained = on_drained,
	.over = on_over,
};

/* Opening. */

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

/* The leg of @stream; one that stood there is over, and nothing calls it back. */
static struct bosh_leg *leg_new(struct bosh_entry *session, unsigned stream, const char *domain)
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
		     const struct bosh_place *place, bool counted)
{
	struct stream_target stream_target = {
		.to = sv_from(place->domain),
		.from = target->from,
		.lang = target->lang,
		.version = target->version,
		.client = &session->client,
		.route = place->route.port ? &place->route : NULL,
	};
	struct bosh_leg *leg = leg_new(session, stream, place->domain);

	if (!leg) {
		return -ENOMEM;
	}
	int r = link_new(&session->endpoint->env->link, &stream_target, place->rule, &link_callbacks, leg,
			 &leg->link);

	leg->counted = counted && r == 0;
	return r;
}

static int refuse(struct bosh_entry *session, unsigned stream, enum failure_kind kind, const char *why)
{
	struct bosh_leg *leg = leg_new(session, stream, "");
	struct failure failure;

	failure_set(&failure, kind, why ? "%s" : NULL, why);
	return leg ? bosh_leg_fail(leg, &failure) : -ENOMEM;
}

int bosh_leg_add(struct bosh_entry *session, unsigned stream, const struct bosh_target *target)
{
	struct bosh_endpoint *endpoint = session->endpoint;
	struct bosh_place place;
	const char *text;

	if (bosh_target_judge(endpoint, target, &place, &text)) {
		return refuse(session, stream, FAILURE_DOMAIN_REFUSED, text);
	}
	/* Each is a connection like that of a session of its own. */
	if (census_enter_session(endpoint->env->census, &session->client) != CENSUS_OK) {
		return refuse(session, stream, FAILURE_TOO_MANY, NULL);
	}
	int r = bosh_leg_open(session, stream, target, &place, true);

	if (r < 0) {
		census_leave_session(endpoint->env->census, &session->client);
	} else if (may_log(session)) {
		bosh_entry_log(session, "stream-open", place.domain);
	}
	return r;
}
