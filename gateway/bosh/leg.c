/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/endpoint-state.h"

static void give_back(const struct bosh_entry *session, struct admission_seats *seats,
		      const char *domain)
{
	admission_leave_domain(session->endpoint->env, seats, domain);
	admission_leave_client(session->endpoint->env, seats, &session->client);
}

void bosh_leg_close(struct bosh_leg *leg, bool drop)
{
	if (leg->link) {
		login_guard_left(&leg->session->log, leg->domain, leg->link);
	}
	leg->link = drop ? link_drop(leg->link) : link_close(leg->link);
	give_back(leg->session, &leg->seats, leg->domain);
}

struct bosh_leg *bosh_leg_find(const struct bosh_entry *session, unsigned stream)
{
	struct bosh_leg *leg;

	SLIST_FOREACH(leg, &session->legs, in_session) {
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
		  struct admission *admission, const struct link_callbacks *callbacks)
{
	struct stream_target stream_target = {
		.to = sv_from(admission->domain),
		.from = target->from,
		.lang = target->lang,
		.version = target->version,
		.client = &session->client,
		.route = admission->route.port ? &admission->route : NULL,
	};
	struct bosh_leg *leg = bosh_leg_new(session, stream, admission->domain);
	int r = leg ? link_new(&session->endpoint->env->link, &stream_target, admission->rule,
			       callbacks, leg, &leg->link)
		    : -ENOMEM;

	if (r < 0) {
		give_back(session, &admission->seats, admission->domain);
	} else {
		leg->opened = bosh_endpoint_now(session->endpoint);
		leg->seats = admission->seats;
	}
	return r;
}

/* Whether another stream of the session is still open. */
static bool has_other_link(const struct bosh_leg *leg)
{
	const struct bosh_leg *other;

	SLIST_FOREACH(other, &leg->session->legs, in_session) {
		if (other != leg && other->link) {
			return true;
		}
	}
	return false;
}

int bosh_leg_fail(struct bosh_leg *leg, const struct failure *failure)
{
	session_log_failed(&leg->session->log, leg->domain, failure, !has_other_link(leg));
	return bosh_session_fail(leg->session->engine, leg->stream, failure,
				 bosh_endpoint_now(leg->session->endpoint),
				 &leg->session->endpoint->actions);
}

int bosh_leg_break(struct bosh_leg *leg, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	bosh_leg_close(leg, true);
	return bosh_leg_fail(leg, &failure);
}
