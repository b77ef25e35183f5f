/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "gateway/bosh/session.h"
#include "gateway/bosh/sid.h"

struct session {
	UT_hash_handle hh;
	struct bosh_endpoint *endpoint;
	struct bosh_session *engine;
	struct link *link;
	uv_timer_t timer;
	struct mono armed; /* what the timer runs for */
	struct address client;
	bool over;
	char sid[SID_LENGTH + 1];
	char domain[]; /* ascii form */
};

struct bosh_endpoint {
	struct worker_env *env;
	struct bosh_relay *relay;
	struct session *sessions; /* uthash by sid */
	struct bosh_limits limits;
	struct bosh_actions actions; /* the list is used again and again */
	bool shut;
};

static struct mono now_of(const struct session *session)
{
	return (struct mono){(int64_t)uv_now(session->endpoint->env->loop)};
}

static void log_session(const struct session *session, const char *event)
{
	char client[ADDRESS_TEXT_MAX];

	log_info(event, LOG_STR("client", address_format_host(&session->client, client)),
		 LOG_STR("transport", "bosh"),
		 LOG_SV("session", sv_first(sv_from(session->sid), SID_LOG_LENGTH)),
		 LOG_STR("domain", session->domain));
}

static void log_failure(const struct session *session, const struct failure *failure)
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
	struct session *session = CONTAINER_OF((uv_timer_t *)handle, struct session, timer);

	bosh_session_free(session->engine);
	free(session);
}

static void end(struct session *session)
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

static void arm(struct session *session)
{
	struct mono deadline = bosh_session_deadline(session->engine);

	/* A timer that runs too early finds nothing to do and is armed anew: cheaper than to move it with each request. */
	if (deadline.ms < session->armed.ms) {
		int64_t ms = mono_diff_ms(deadline, now_of(session));

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

static int restart(struct session *session, const struct buffer *texts)
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

static int forward(struct session *session, const struct buffer *payloads)
{
	int r = link_write(session->link, buffer_sv(payloads));

	if (r == 0 && link_is_congested(session->link)) {
		r = bosh_session_congest(session->engine, true, now_of(session), &session->endpoint->actions);
	}
	return r;
}

/* Returns 0, or a negative errno: then the session cannot go on. */
static int carry_out(struct session *session, struct bosh_action *action)
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
		end(session);
		return 0;
	}
	return 0;
}

static int fail(struct session *session, const struct failure *failure)
{
	log_failure(session, failure);
	return bosh_session_fail(session->engine, failure, now_of(session), &session->endpoint->actions);
}

/* Carries out all actions; those that they bring about too. @r is what the engine returned. */
static void settle(struct session *session, int r)
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
		end(session);
	} else if (!session->over) {
		arm(session);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct session *session = CONTAINER_OF(timer, struct session, timer);

	session->armed = MONO_NEVER;
	settle(session, bosh_session_expire(session->engine, now_of(session), &session->endpoint->actions));
}

/* From the server. */

static void on_header(void *userdata)
{
	struct session *session = userdata;
	const struct stream *stream = link_stream(session->link);

	settle(session, bosh_session_header(session->engine, stream->id,
					    stream->from ? stream->from : session->domain));
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct session *session = userdata;
	const struct stream *stream = link_stream(session->link);
	struct buffer *pending = bosh_session_pending(session->engine, stream_event_is_stream(stream),
						      kind == STREAM_EVENT_FEATURES);
	int r = stream_event_write(stream, pending);

	if (r < 0) {
		settle(session, r);
	}
}

static void on_flush(void *userdata)
{
	struct session *session = userdata;

	settle(session, bosh_session_flush(session->engine, now_of(session), &session->endpoint->actions));
}

static void on_drained(void *userdata)
{
	struct session *session = userdata;

	settle(session,
	       bosh_session_congest(session->engine, false, now_of(session), &session->endpoint->actions));
}

static void on_over(void *userdata, const struct failure *failure)
{
	struct session *session = userdata;
	int r = fail(session, failure);

	session->link = link_close(session->link);
	settle(session, r);
}

static const struct link_callbacks link_callbacks = {
	.header = on_header,
	.element = on_element,
	.flush = on_flush,
	.drained = on_drained,
	.over = on_over,
};

/* Requests. */

/* Answers a request that has no session. A legacy client sends no `ver` when it creates one. */
static void refuse(struct bosh_endpoint *endpoint, const struct bosh_request *request,
		   enum bosh_condition condition, const char *text)
{
	const struct bosh_body *body = &request->body;
	bool legacy = body->has_rid && !body->sid.data && !body->has_ver;
	struct blob *blob = NULL;
	unsigned status = 500;

	/* Without memory for the words there is still the status. */
	(void)!bosh_refusal(condition, text, legacy, &status, &blob);
	bosh_relay_answer(endpoint->relay, request->exchange, status, blob);
}

static enum bosh_condition condition_of(int body_result)
{
	switch (body_result) {
	case BOSH_BODY_E_POLICY:
		return BOSH_CONDITION_POLICY_VIOLATION;
	case BOSH_BODY_E_BAD_REQUEST:
		return BOSH_CONDITION_BAD_REQUEST;
	default:
		return BOSH_CONDITION_INTERNAL_SERVER_ERROR;
	}
}

static int session_new(struct bosh_endpoint *endpoint, struct bosh_request *request, const char *domain,
		       struct session **ret_session)
{
	size_t n_domain = strlen(domain);
	struct session *session = calloc(1, sizeof(*session) + n_domain + 1);
	struct mono now = {(int64_t)uv_now(endpoint->env->loop)};

	if (!session) {
		return -ENOMEM;
	}
	session->endpoint = endpoint;
	session->armed = MONO_NEVER;
	session->client = request->client;
	memcpy(session->domain, domain, n_domain);
	int r = sid_make(endpoint->env->index, session->sid);

	if (r == 0) {
		r = bosh_session_new(&endpoint->limits, session->sid, &request->body, request->exchange, now,
				     &session->engine);
	}
	if (r < 0) {
		free(session);
		return r;
	}
	uv_timer_init(endpoint->env->loop, &session->timer);
	HASH_ADD(hh, endpoint->sessions, sid, SID_LENGTH, session);
	*ret_session = session;
	return 0;
}

static void open_link(struct session *session, const struct bosh_request *request,
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
		r = bosh_session_flush(session->engine, now_of(session), &session->endpoint->actions);
	}
	log_session(session, "session-open");
	settle(session, r);
}

/* Takes the session's place in the census. */
static bool admit(struct bosh_endpoint *endpoint, const struct bosh_request *request)
{
	int r = census_enter_session(endpoint->env->census, &request->client);

	if (r < 0) {
		char client[ADDRESS_TEXT_MAX];

		log_warning("session-refused",
			    LOG_STR("client", address_format_host(&request->client, client)),
			    LOG_STR("transport", "bosh"),
			    LOG_STR("failure", failure_name(FAILURE_TOO_MANY)));
		refuse(endpoint, request, BOSH_CONDITION_POLICY_VIOLATION, failure_sentence(FAILURE_TOO_MANY));
	}
	return r == 0;
}

/* XEP-0124, "Session Creation Request". */
static void create(struct bosh_endpoint *endpoint, struct bosh_request *request)
{
	const struct domain_rules *rules = &endpoint->env->config->domains;
	const struct domain_rule *rule;
	struct session *session;
	char domain[DOMAIN_MAX + 1];

	if (!request->body.has_rid || request->body.rid > BOSH_RID_MAX - 1) {
		refuse(endpoint, request, BOSH_CONDITION_BAD_REQUEST, "a session begins with a rid");
		return;
	}
	if (request->body.to.n == 0) {
		refuse(endpoint, request, BOSH_CONDITION_IMPROPER_ADDRESSING, "a session needs a 'to'");
		return;
	}
	if (domain_to_ascii(request->body.to, domain) < 0) {
		refuse(endpoint, request, BOSH_CONDITION_HOST_UNKNOWN, "'to' is not the name of a domain");
		return;
	}
	if (request->body.route.n) {
		refuse(endpoint, request, BOSH_CONDITION_HOST_UNKNOWN,
		       "this gateway finds the server by DNS and takes no 'route'");
		return;
	}
	rule = domain_rules_find(rules, domain);
	if (endpoint->shut || (rule && rule->deny)) {
		refuse(endpoint, request, BOSH_CONDITION_HOST_UNKNOWN,
		       failure_sentence(endpoint->shut ? FAILURE_SHUTDOWN : FAILURE_DOMAIN_REFUSED));
		return;
	}
	if (!admit(endpoint, request)) {
		return;
	}
	if (session_new(endpoint, request, domain, &session) < 0) {
		census_leave_session(endpoint->env->census, &request->client);
		refuse(endpoint, request, BOSH_CONDITION_INTERNAL_SERVER_ERROR, NULL);
		return;
	}
	open_link(session, request, rule);
}

static struct session *find(const struct bosh_endpoint *endpoint, struct sv sid)
{
	struct session *session = NULL;

	if (sid.n == SID_LENGTH) {
		HASH_FIND(hh, endpoint->sessions, sid.data, SID_LENGTH, session);
	}
	return session;
}

static void on_request(void *userdata, struct bosh_request *request)
{
	struct bosh_endpoint *endpoint = userdata;
	struct session *session = find(endpoint, request->body.sid);
	struct bosh_actions *actions = &endpoint->actions;

	if (session && (request->body_result != BOSH_BODY_OK || !request->body.has_rid)) {
		enum bosh_condition condition = request->body_result == BOSH_BODY_OK
							? BOSH_CONDITION_BAD_REQUEST
							: condition_of(request->body_result);

		settle(session, bosh_session_refuse(session->engine, request->exchange, condition, actions));
	} else if (session) {
		settle(session, bosh_session_request(session->engine, request->exchange, &request->body,
						     now_of(session), actions));
	} else if (request->body_result != BOSH_BODY_OK) {
		refuse(endpoint, request, condition_of(request->body_result), NULL);
	} else if (request->body.sid.data) {
		refuse(endpoint, request, BOSH_CONDITION_ITEM_NOT_FOUND, NULL);
	} else {
		create(endpoint, request);
	}
}

static void on_gone(void *userdata, struct sv sid, uint64_t exchange)
{
	struct session *session = find(userdata, sid);

	if (session) {
		bosh_session_gone(session->engine, exchange, now_of(session));
		arm(session);
	}
}

static const struct bosh_relay_callbacks relay_callbacks = {
	.request = on_request,
	.gone = on_gone,
};

/* Life of the endpoint. */

int bosh_endpoint_new(struct worker_env *env, struct bosh_endpoint **ret_endpoint)
{
	struct bosh_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint) {
		return -ENOMEM;
	}
	endpoint->env = env;
	endpoint->limits = (struct bosh_limits){
		.wait_s = env->config->wait_s,
		.hold = env->config->hold,
		.inactivity_s = env->config->inactivity_s,
		.polling_s = env->config->polling_s,
		.n_pending_max = env->config->n_pending_max,
	};
	int r = bosh_relay_new(env, &relay_callbacks, endpoint, &endpoint->relay);

	if (r < 0) {
		free(endpoint);
		return r;
	}
	*ret_endpoint = endpoint;
	return 0;
}

void bosh_endpoint_shut(struct bosh_endpoint *endpoint)
{
	struct session *session, *next;
	struct failure failure;

	endpoint->shut = true;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	HASH_ITER(hh, endpoint->sessions, session, next)
	{
		int r = bosh_session_fail(session->engine, &failure, now_of(session), &endpoint->actions);

		session->link = link_close(session->link);
		settle(session, r);
		end(session);
	}
}

struct bosh_endpoint *bosh_endpoint_free(struct bosh_endpoint *endpoint)
{
	if (!endpoint) {
		return NULL;
	}
	bosh_actions_deinit(&endpoint->actions);
	bosh_relay_free(endpoint->relay);
	free(endpoint);
	return NULL;
}

struct bosh_relay *bosh_endpoint_relay(struct bosh_endpoint *endpoint)
{
	return endpoint->relay;
}
