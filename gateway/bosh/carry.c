/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/endpoint-state.h"

struct mono bosh_endpoint_now(const struct bosh_endpoint *endpoint)
{
	return (struct mono){(int64_t)uv_now(endpoint->env->loop)};
}

static void log_session(const struct bosh_carried *session, const char *event)
{
	char client[ADDRESS_TEXT_MAX];

	log_info(event, LOG_STR("client", address_format_host(&session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", session->domain));
}

static void log_failure(const struct bosh_carried *session, const struct failure *failure)
{
	char client[ADDRESS_TEXT_MAX];

	log_info("session-failed", LOG_STR("client", address_format_host(&session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", session->domain), LOG_STR("failure", failure_name(failure->kind)),
		 LOG_STR("detail", failure->detail));
}

/* The end of a session. */

static void on_timer_closed(uv_handle_t *handle)
{
	struct bosh_carried *session = CONTAINER_OF((uv_timer_t *)handle, struct bosh_carried, timer);

	bosh_session_free(session->engine);
	free(session);
}

void bosh_carried_end(struct bosh_carried *session)
{
	struct bosh_endpoint *endpoint = session->endpoint;

	if (session->over) {
		return;
	}
	session->over = true;
	log_session(session, "session-closed");
	/* A client that is only gone may resume on the server (XEP-0198): no </stream:stream>. */
	session->link = link_drop(session->link);
	HASH_DELETE(hh, endpoint->sessions, session);
	census_leave_session(endpoint->env->census, &session->client);
	uv_close((uv_handle_t *)&session->timer, on_timer_closed);
}

/* Carrying out what the engine decides. */

static void on_timer(uv_timer_t *timer);

void bosh_carried_arm(struct bosh_carried *session)
{
	struct mono deadline = bosh_session_deadline(session->engine);

	/* A timer that runs too early finds nothing to do and is armed anew: cheaper than to move it with each request. */
	if (deadline.ms < session->armed.ms) {
		int64_t ms = mono_diff_ms(deadline, bosh_endpoint_now(session->endpoint));

		session->armed = deadline;
		uv_timer_start(&session->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
	}
}

static struct sv take_string(struct sv *rest)
{
	size_t n = sv_find(*rest, '\0');
	struct sv text = sv_first(*rest, n);

	*rest = sv_skip(*rest, n + 1);
	return text;
}

static int restart(struct bosh_carried *session, const struct buffer *texts)
{
	struct sv rest = buffer_sv(texts);
	struct stream_target target = {0};

	/* The domain of a stream does not change; RFC 6120 (4.3.3) has the client repeat it. */
	(void)take_string(&rest);
	target.from = take_string(&rest);
	target.lang = take_string(&rest);
	target.version = take_string(&rest);
	return link_restart(session->link, &target);
}

static int forward(struct bosh_carried *session, const struct buffer *payloads)
{
	int r = link_write(session->link, buffer_sv(payloads));

	if (r == 0 && link_is_congested(session->link)) {
		r = bosh_session_congest(session->engine, true, bosh_endpoint_now(session->endpoint), &session->endpoint->actions);
	}
	return r;
}

/* Returns 0, or a negative errno: then the session cannot go on. */
static int carry_out(struct bosh_carried *session, struct bosh_action *action)
{
	switch (action->kind) {
	case BOSH_ACTION_ANSWER:
		bosh_relay_answer(session->endpoint->relay, action->exchange, action->status, action->blob);
		action->blob = NULL;
		return 0;
	case BOSH_ACTION_SEND:
		return session->link ? forward(session, &action->payloads) : 0;
	case BOSH_ACTION_RESTART:
		return session->link ? restart(session, &action->payloads) : 0;
	case BOSH_ACTION_CLOSE:
		session->link = link_close(session->link);
		return 0;
	case BOSH_ACTION_PAUSE:
	case BOSH_ACTION_RESUME:
		if (session->link) {
			link_pause(session->link, action->kind == BOSH_ACTION_PAUSE);
		}
		return 0;
	case BOSH_ACTION_END:
		bosh_carried_end(session);
		return 0;
	}
	return 0;
}

static int fail(struct bosh_carried *session, const struct failure *failure)
{
	log_failure(session, failure);
	return bosh_session_fail(session->engine, failure, bosh_endpoint_now(session->endpoint), &session->endpoint->actions);
}

/* Carries out all actions; those that they bring about too. @r is what the engine returned. */
void bosh_carried_settle(struct bosh_carried *session, int r)
{
	struct bosh_actions *actions = &session->endpoint->actions;
	struct failure failure;

	for (size_t i = 0; i < actions->n; i++) {
		/* The list may grow, and so move, while one is carried out. */
		struct bosh_action action = actions->items[i];
		int result;

		actions->items[i] = (struct bosh_action){0};
		result = carry_out(session, &action);
		blob_unref(action.blob);
		buffer_deinit(&action.payloads);
		if (result == -EPROTO && r == 0) {
			failure_set(&failure, FAILURE_TOO_EARLY, NULL);
			session->link = link_drop(session->link);
			r = fail(session, &failure);
		} else if (result < 0 && r == 0) {
			r = result;
		}
	}
	actions->n = 0;
	if (r < 0) {
		log_session(session, "session-out-of-memory");
		bosh_carried_end(session);
	} else if (!session->over) {
		bosh_carried_arm(session);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct bosh_carried *session = CONTAINER_OF(timer, struct bosh_carried, timer);

	session->armed = MONO_NEVER;
	bosh_carried_settle(session, bosh_session_expire(session->engine, bosh_endpoint_now(session->endpoint), &session->endpoint->actions));
}

/* From the server. */

/* The stream is the client's: what it waits for comes with this turn, if at all. */
static void on_header(void *userdata)
{
	struct bosh_carried *session = userdata;
	const struct stream *stream = link_stream(session->link);
	int r = bosh_session_header(session->engine, stream->id, stream->from ? stream->from : session->domain);

	(void)bosh_session_pending(session->engine, false, true);
	bosh_carried_settle(session, r);
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct bosh_carried *session = userdata;
	const struct stream *stream = link_stream(session->link);
	struct buffer *pending = bosh_session_pending(session->engine, stream_event_is_stream(stream),
						      kind == STREAM_EVENT_FEATURES);
	int r = stream_event_write(stream, pending);

	if (r < 0) {
		bosh_carried_settle(session, r);
	}
}

static void on_flush(void *userdata)
{
	struct bosh_carried *session = userdata;

	bosh_carried_settle(session, bosh_session_flush(session->engine, bosh_endpoint_now(session->endpoint), &session->endpoint->actions));
}

static void on_drained(void *userdata)
{
	struct bosh_carried *session = userdata;

	bosh_carried_settle(session,
	       bosh_session_congest(session->engine, false, bosh_endpoint_now(session->endpoint), &session->endpoint->actions));
}

static void on_over(void *userdata, const struct failure *failure)
{
	struct bosh_carried *session = userdata;
	int r = fail(session, failure);

	session->link = link_close(session->link);
	bosh_carried_settle(session, r);
}

static const struct link_callbacks link_callbacks = {
	.header = on_header,
	.element = on_element,
	.flush = on_flush,
	.drained = on_drained,
	.over = on_over,
};

void bosh_carried_open(struct bosh_carried *session, const struct bosh_request *request,
		      const struct domain_rule *rule)
{
	struct stream_target target = {
		.to = sv_from(session->domain),
		.from = request->body.from,
		.lang = request->body.lang,
		.version = request->body.xmpp_version,
	};
	int r = link_new(&session->endpoint->env->link, &target, rule, &link_callbacks, session,
			 &session->link);

	if (r == 0) {
		r = bosh_session_flush(session->engine, bosh_endpoint_now(session->endpoint), &session->endpoint->actions);
	}
	log_session(session, "session-open");
	bosh_carried_settle(session, r);
}
