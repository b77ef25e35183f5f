/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/endpoint-state.h"

static struct bosh_actions *actions_of(const struct bosh_strand *strand)
{
	return &strand->session->endpoint->actions;
}

static struct mono now_of(const struct bosh_strand *strand)
{
	return bosh_endpoint_now(strand->session->endpoint);
}

/* Asked for each stream: one session can open and lose any number of them. */
static bool may_log(const struct bosh_carried *session)
{
	return session->is_logged &&
	       worker_may_log(session->endpoint->env, CLIENT_LOG_STREAM, &session->client);
}

static void log_failure(const struct bosh_strand *strand, const struct failure *failure)
{
	char client[ADDRESS_TEXT_MAX];

	if (!may_log(strand->session)) {
		return;
	}
	log_info("session-failed",
		 LOG_STR("client", address_format_host(&strand->session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(strand->session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", strand->domain), LOG_STR("failure", failure_name(failure->kind)),
		 LOG_STR("detail", failure->detail));
}

int bosh_strand_fail(struct bosh_strand *strand, const struct failure *failure)
{
	log_failure(strand, failure);
	counters_add(strand->session->endpoint->env->counters, failure->kind);
	return bosh_session_fail(strand->session->engine, strand->stream, failure, now_of(strand),
				 actions_of(strand));
}

void bosh_strand_close(struct bosh_strand *strand, bool drop)
{
	struct bosh_carried *session = strand->session;

	strand->link = drop ? link_drop(strand->link) : link_close(strand->link);
	if (strand->counted) {
		strand->counted = false;
		census_leave_session(session->endpoint->env->census, &session->client);
	}
}

/* From the server. */

/* The stream is the client's: what it waits for comes with this turn, if at all. */
static void on_header(void *userdata)
{
	struct bosh_strand *strand = userdata;
	const struct stream *stream = link_stream(strand->link);
	int r = bosh_session_header(strand->session->engine, strand->stream, stream->id,
				    stream->from ? stream->from : strand->domain);

	(void)bosh_session_pending(strand->session->engine, strand->stream, false, true);
	bosh_carried_settle(strand->session, r);
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct bosh_strand *strand = userdata;
	struct bosh_session *engine = strand->session->engine;
	const struct stream *stream = link_stream(strand->link);
	int r = stream_event_write(stream, bosh_session_pending(engine, strand->stream,
								stream_event_is_stream(stream),
								kind == STREAM_EVENT_FEATURES));

	if (stream->managed) {
		bosh_session_set_managed(engine, strand->stream);
	}
	if (r < 0) {
		bosh_carried_settle(strand->session, r);
	}
}

static void on_flush(void *userdata)
{
	struct bosh_strand *strand = userdata;

	bosh_carried_settle(strand->session, bosh_session_flush(strand->session->engine, now_of(strand),
								actions_of(strand)));
}

static void on_drained(void *userdata)
{
	struct bosh_strand *strand = userdata;

	bosh_carried_settle(strand->session,
			    bosh_session_congest(strand->session->engine, strand->stream, false, now_of(strand),
						 actions_of(strand)));
}

static void on_over(void *userdata, const struct failure *failure)
{
	struct bosh_strand *strand = userdata;
	int r = bosh_strand_fail(strand, failure);

	bosh_strand_close(strand, false);
	bosh_carried_settle(strand->session, r);
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

struct bosh_strand *bosh_strand_find(const struct bosh_carried *session, unsigned stream)
{
	struct bosh_strand *strand;

	SLIST_FOREACH (strand, &session->strands, in_session) {
		if (strand->stream == stream) {
			break;
		}
	}
	return strand;
}

/* The strand of @stream; one that stood there is over, and nothing calls it back. */
static struct bosh_strand *strand_new(struct bosh_carried *session, unsigned stream, const char *domain)
{
	size_t n_domain = strlen(domain);
	struct bosh_strand *strand = calloc(1, sizeof(*strand) + n_domain + 1);
	struct bosh_strand *former = bosh_strand_find(session, stream);

	if (strand) {
		if (former) {
			SLIST_REMOVE(&session->strands, former, bosh_strand, in_session);
			free(former);
		}
		strand->session = session;
		strand->stream = stream;
		memcpy(strand->domain, domain, n_domain);
		SLIST_INSERT_HEAD(&session->strands, strand, in_session);
	}
	return strand;
}

int bosh_strand_open(struct bosh_carried *session, unsigned stream, const struct bosh_target *target,
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
	struct bosh_strand *strand = strand_new(session, stream, place->domain);

	if (!strand) {
		return -ENOMEM;
	}
	int r = link_new(&session->endpoint->env->link, &stream_target, place->rule, &link_callbacks, strand,
			 &strand->link);

	strand->counted = counted && r == 0;
	return r;
}

static int refuse(struct bosh_carried *session, unsigned stream, enum failure_kind kind, const char *why)
{
	struct bosh_strand *strand = strand_new(session, stream, "");
	struct failure failure;

	failure_set(&failure, kind, why ? "%s" : NULL, why);
	return strand ? bosh_strand_fail(strand, &failure) : -ENOMEM;
}

int bosh_strand_add(struct bosh_carried *session, unsigned stream, const struct bosh_target *target)
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
	int r = bosh_strand_open(session, stream, target, &place, true);

	if (r < 0) {
		census_leave_session(endpoint->env->census, &session->client);
	} else if (may_log(session)) {
		bosh_carried_log(session, "stream-open", place.domain);
	}
	return r;
}
