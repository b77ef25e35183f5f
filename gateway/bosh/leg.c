/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/endpoint-state.h"

static void give_back(const struct bosh_entry *entry, struct admission_seats *seats,
		      const char *domain)
{
	admission_leave_domain(entry->endpoint->env, seats, domain);
	admission_leave_client(entry->endpoint->env, seats, &entry->client);
}

void bosh_leg_close(struct bosh_leg *leg, bool must_drop)
{
	if (leg->link) {
		login_guard_left(&leg->entry->log, leg->domain, leg->link);
	}
	leg->link = must_drop ? link_drop(leg->link) : link_close(leg->link);
	give_back(leg->entry, &leg->seats, leg->domain);
}

struct bosh_leg *bosh_leg_find(const struct bosh_entry *entry, unsigned stream)
{
	struct bosh_leg *leg;

	SLIST_FOREACH(leg, &entry->legs, in_session) {
		if (leg->stream == stream) {
			break;
		}
	}
	return leg;
}

struct bosh_leg *bosh_leg_new(struct bosh_entry *entry, unsigned stream, const char *domain)
{
	size_t n_domain = strlen(domain);
	struct bosh_leg *leg = calloc(1, sizeof(*leg) + n_domain + 1);
	struct bosh_leg *former = bosh_leg_find(entry, stream);

	if (leg) {
		if (former) {
			SLIST_REMOVE(&entry->legs, former, bosh_leg, in_session);
			free(former);
		}
		leg->entry = entry;
		leg->stream = stream;
		memcpy(leg->domain, domain, n_domain);
		SLIST_INSERT_HEAD(&entry->legs, leg, in_session);
	}
	return leg;
}

int bosh_leg_open(struct bosh_entry *entry, unsigned stream, const struct bosh_target *target,
		  struct admission *admission, const struct link_callbacks *callbacks)
{
	struct stream_target stream_target = {
		.to = sv_from(admission->domain),
		.from = target->from,
		.lang = target->lang,
		.version = target->version,
		.client = &entry->client,
		.route = admission->route.port ? &admission->route : NULL,
	};
	struct bosh_leg *leg = bosh_leg_new(entry, stream, admission->domain);
	const struct link_options options = {admission->rule, callbacks, leg};
	int r = leg ? link_new(&entry->endpoint->env->link, &stream_target, &options, &leg->link)
		    : -ENOMEM;

	if (r < 0) {
		give_back(entry, &admission->seats, admission->domain);
	} else {
		leg->opened = bosh_endpoint_now(entry->endpoint);
		leg->seats = admission->seats;
	}
	return r;
}

/* Whether another stream of the session is still open. */
static bool has_other_link(const struct bosh_leg *leg)
{
	const struct bosh_leg *other;

	SLIST_FOREACH(other, &leg->entry->legs, in_session) {
		if (other != leg && other->link) {
			return true;
		}
	}
	return false;
}

int bosh_leg_fail(struct bosh_leg *leg, const struct failure *failure)
{
	session_log_failed(&leg->entry->log, leg->domain, failure, !has_other_link(leg));
	return bosh_session_fail(leg->entry->engine, leg->stream, failure,
				 bosh_endpoint_now(leg->entry->endpoint),
				 &leg->entry->endpoint->actions);
}

int bosh_leg_break(struct bosh_leg *leg, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	bosh_leg_close(leg, true);
	return bosh_leg_fail(leg, &failure);
}

/* Actions of the engine on a stream. */

static struct sv take_string(struct sv *rest)
{
	size_t n = sv_find(*rest, '\0');
	struct sv text = sv_first(*rest, n);

	*rest = sv_skip(*rest, n + 1);
	return text;
}

struct bosh_target bosh_target_read(const struct buffer *texts)
{
	struct sv rest = buffer_sv(texts);
	struct bosh_target target;

	target.to = take_string(&rest);
	target.from = take_string(&rest);
	target.lang = take_string(&rest);
	target.version = take_string(&rest);
	target.route = take_string(&rest);
	return target;
}

/* The domain of a stream stays, although the client must repeat it (RFC 6120, 4.3.3). */
static int restart(struct bosh_leg *leg, const struct buffer *texts)
{
	struct bosh_target target = bosh_target_read(texts);

	return link_restart(leg->link, &(struct stream_target){.from = target.from,
							       .lang = target.lang,
							       .version = target.version});
}

static int forward(struct bosh_leg *leg, const struct bosh_action *action)
{
	const struct buffer *payloads = &action->payloads;
	struct bosh_entry *entry = leg->entry;
	struct failure failure;

	if (!login_guard_sent(&entry->log, leg->domain, leg->link, buffer_sv(payloads), &failure)) {
		bosh_leg_close(leg, false);
		return bosh_leg_fail(leg, &failure);
	}
	int r = link_gather(leg->link, buffer_sv(payloads));

	if (r == 0) {
		session_log_from_client(&entry->log, action->n_payloads, payloads->n);
	}
	if (r == 0 && link_is_congested(leg->link)) {
		r = bosh_session_congest(
			entry->engine, leg->stream,
			link_is_full(leg->link) ? BOSH_CONGESTION_FULL : BOSH_CONGESTION_SOME,
			bosh_endpoint_now(entry->endpoint), &entry->endpoint->actions);
	}
	return r;
}

int bosh_leg_carry_out(struct bosh_leg *leg, const struct bosh_action *action)
{
	switch (action->kind) {
	case BOSH_ACTION_SEND:
		return forward(leg, action);
	case BOSH_ACTION_RESTART:
		return restart(leg, &action->payloads);
	case BOSH_ACTION_BOUNCE:
		return link_return(leg->link, buffer_sv(&action->payloads));
	case BOSH_ACTION_CLOSE:
		bosh_leg_close(leg, false);
		return 0;
	case BOSH_ACTION_STOP_READING:
	case BOSH_ACTION_RESUME_READING:
		link_pause(leg->link, action->kind == BOSH_ACTION_STOP_READING);
		return 0;
	case BOSH_ACTION_ANSWER:
	case BOSH_ACTION_OPEN:
	case BOSH_ACTION_END:
		break;
	}
	return 0;
}
