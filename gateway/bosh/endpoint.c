/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/content.h"
#include "gateway/bosh/endpoint-state.h"

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
	bosh_relay_answer(endpoint->relay, request->exchange, status, bosh_content_type(body->content), blob);
}

/* Refuses a request that has no session because of @rule. Anybody can send any number of these, so the log
 * has them for those who look for something only. */
static void refuse_by_rule(struct bosh_endpoint *endpoint, const struct bosh_request *request,
			   enum bosh_rule rule)
{
	char client[ADDRESS_TEXT_MAX];

	log_debug("request-refused", LOG_STR("client", address_format_host(&request->client, client)),
		  LOG_STR("transport", "bosh"), LOG_STR("rule", bosh_rule_name(rule)));
	refuse(endpoint, request, bosh_rule_condition(rule), bosh_rule_sentence(rule));
}

/* What is wrong with a request before it is known what it is for. */
static enum bosh_rule judge_body(const struct bosh_request *request)
{
	switch (request->body_result) {
	case BOSH_BODY_OK:
		return request->body.has_rid ? BOSH_RULE_NONE : BOSH_RULE_NO_RID;
	case BOSH_BODY_E_TOO_LARGE:
		return BOSH_RULE_BODY_TOO_LARGE;
	case BOSH_BODY_E_TOO_COMPLEX:
		return BOSH_RULE_BODY_TOO_COMPLEX;
	case BOSH_BODY_E_BAD_REQUEST:
		return BOSH_RULE_NOT_UNDERSTOOD;
	default:
		return BOSH_RULE_OUT_OF_MEMORY;
	}
}

static int session_new(struct bosh_endpoint *endpoint, struct bosh_request *request,
		       struct bosh_entry **ret_session)
{
	struct bosh_entry *session = calloc(1, sizeof(*session));
	struct mono now = bosh_endpoint_now(endpoint);

	if (!session) {
		return -ENOMEM;
	}
	session->endpoint = endpoint;
	session->armed = MONO_NEVER;
	session->client = request->client;
	session->latest_client = client_key(&request->client);
	session->secure = request->secure;
	session->content_type = bosh_content_type(request->body.content);
	int r = sid_make(endpoint->env->index, session->sid);

	if (r == 0) {
		r = bosh_session_new(&endpoint->limits, session->sid, &request->body, request->exchange, now,
				     &session->engine);
	}
	if (r < 0) {
		free(session);
		return r;
	}
	HASH_ADD(hh, endpoint->sessions, sid, SID_LENGTH, session);
	if (!session->hh.tbl) {
		bosh_session_free(session->engine);
		free(session);
		return -ENOMEM;
	}
	uv_timer_init(endpoint->env->loop, &session->timer);
	session->is_logged = worker_may_log(endpoint->env, CLIENT_LOG_SESSION, &session->client);
	bosh_relay_created(endpoint->relay, request->exchange, session->sid);
	*ret_session = session;
	return 0;
}

static void log_refused(const struct bosh_endpoint *endpoint, const struct bosh_request *request)
{
	char client[ADDRESS_TEXT_MAX];

	if (worker_may_log(endpoint->env, CLIENT_LOG_SESSION_REFUSED, &request->client)) {
		log_warning("session-refused",
			    LOG_STR("client", address_format_host(&request->client, client)),
			    LOG_STR("transport", "bosh"),
			    LOG_STR("failure", failure_name(FAILURE_TOO_MANY)));
	}
}

/* Takes the session's place in the census. */
static bool admit(struct bosh_endpoint *endpoint, const struct bosh_request *request)
{
	int r = census_enter_session(endpoint->env->census, &request->client);

	if (r != CENSUS_OK) {
		log_refused(endpoint, request);
		counters_add(endpoint->env->counters, FAILURE_TOO_MANY);
		refuse(endpoint, request, BOSH_CONDITION_POLICY_VIOLATION, failure_sentence(FAILURE_TOO_MANY));
	}
	return r == CENSUS_OK;
}

/* The session's first stream. */
static void open_session(struct bosh_entry *session, const struct bosh_target *target,
			 const struct bosh_place *place)
{
	struct bosh_endpoint *endpoint = session->endpoint;
	int r = bosh_entry_open_leg(session, 0, target, place, false);

	if (r == 0) {
		r = bosh_session_flush(session->engine, bosh_endpoint_now(endpoint), &endpoint->actions);
	}
	bosh_entry_log(session, "session-open", place->domain);
	bosh_entry_settle(session, r);
}

/* "Session Creation Request". */
static void create(struct bosh_endpoint *endpoint, struct bosh_request *request)
{
	const struct bosh_body *body = &request->body;
	const struct bosh_target target = {body->to, body->from, body->lang, body->xmpp_version, body->route};
	const char *elsewhere = endpoint->env->config->see_other_uri;
	struct bosh_entry *session;
	struct bosh_place place;
	const char *text;

	if (elsewhere[0] && !request->secure) {
		refuse(endpoint, request, BOSH_CONDITION_SEE_OTHER_URI, elsewhere);
		return;
	}
	if (!body->has_rid || body->rid > BOSH_RID_MAX - 1) {
		refuse_by_rule(endpoint, request,
			       body->has_rid ? BOSH_RULE_RID_TOO_LARGE : BOSH_RULE_NO_RID);
		return;
	}
	enum bosh_condition condition = bosh_target_judge(endpoint, &target, &place, &text);

	if (condition) {
		refuse(endpoint, request, condition, text);
		return;
	}
	if (!admit(endpoint, request)) {
		return;
	}
	if (session_new(endpoint, request, &session) < 0) {
		census_leave_session(endpoint->env->census, &request->client);
		refuse_by_rule(endpoint, request, BOSH_RULE_OUT_OF_MEMORY);
		return;
	}
	open_session(session, &target, &place);
}

static struct bosh_entry *find(const struct bosh_endpoint *endpoint, struct sv sid)
{
	struct bosh_entry *session = NULL;

	if (sid.n == SID_LENGTH) {
		HASH_FIND(hh, endpoint->sessions, sid.data, SID_LENGTH, session);
	}
	return session;
}

static void log_guarded(const struct bosh_entry *session, const struct bosh_request *request)
{
	char client[ADDRESS_TEXT_MAX];

	if (worker_may_log(session->endpoint->env, CLIENT_LOG_SESSION_GUARDED, &request->client)) {
		log_warning("session-guarded",
			    LOG_STR("client", address_format_host(&request->client, client)),
			    LOG_STR("transport", "bosh"),
			    LOG_SV("session", sv_first(sv_from(session->sid), SID_LOG_LENGTH)));
	}
}

/* The session that @request is for. One that was made over TLS is not there for a request that was not ("Connection Between Client and
 * BOSH Service": it is not to be ended by it either); nor is one that is bound to an address for another. */
static struct bosh_entry *find_for(const struct bosh_endpoint *endpoint, const struct bosh_request *request)
{
	struct bosh_entry *session = find(endpoint, request->body.sid);

	if (session && ((session->secure && !request->secure) ||
			(endpoint->env->config->session_bound_to_address &&
			 !client_is_same(&session->client, &request->client)))) {
		log_guarded(session, request);
		return NULL;
	}
	return session;
}

/* A client may come from another address than before, unless the session is bound to one. */
static void note_client(struct bosh_entry *session, const struct address *client)
{
	uint64_t key = client_key(client);

	if (key != session->latest_client) {
		session->latest_client = key;
		bosh_session_moved(session->engine);
	}
}

static void on_request(void *userdata, struct bosh_request *request)
{
	struct bosh_endpoint *endpoint = userdata;
	struct bosh_entry *session = find_for(endpoint, request);
	struct bosh_actions *actions = &endpoint->actions;
	enum bosh_rule rule = judge_body(request);
	int r;

	if (session && rule) {
		r = bosh_session_refuse(session->engine, request->exchange, rule, actions);
	} else if (session) {
		note_client(session, &request->client);
		r = bosh_session_request(session->engine, request->exchange, &request->body,
					 bosh_endpoint_now(endpoint), actions);
	} else if (request->body_result != BOSH_BODY_OK) {
		refuse_by_rule(endpoint, request, rule);
		return;
	} else if (request->body.sid.data) {
		refuse_by_rule(endpoint, request, BOSH_RULE_SID_UNKNOWN);
		return;
	} else {
		create(endpoint, request);
		return;
	}
	bosh_entry_settle(session, r);
	if (r < 0) {
		/* Nobody else knows of it. */
		refuse_by_rule(endpoint, request, BOSH_RULE_OUT_OF_MEMORY);
	}
}

static void on_gone(void *userdata, struct sv sid, uint64_t exchange)
{
	struct bosh_entry *session = find(userdata, sid);

	if (session) {
		bosh_session_gone(session->engine, exchange, bosh_endpoint_now(session->endpoint));
		bosh_entry_arm(session);
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
		.maxpause_s = env->config->maxpause_s,
		.linger_ms = env->config->linger_ms,
		.n_repeats_max = env->config->n_repeats_max,
		.n_streams_max = env->config->n_streams_max,
		.codings = env->config->coding,
		.n_pending_max = env->config->n_pending_max,
	};
	int r = bosh_relay_new(env, &relay_callbacks, endpoint, &endpoint->relay);

	if (r < 0) {
		free(endpoint);
		return r;
	}
	due_queue_init(&endpoint->due, env->loop, bosh_entry_on_due);
	*ret_endpoint = endpoint;
	return 0;
}

void bosh_endpoint_shut(struct bosh_endpoint *endpoint)
{
	struct bosh_entry *session, *next;
	struct failure failure;

	endpoint->shut = true;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	HASH_ITER(hh, endpoint->sessions, session, next)
	{
		int r = bosh_session_shut(session->engine, &failure, bosh_endpoint_now(endpoint), &endpoint->actions);

		bosh_entry_settle(session, r);
		bosh_entry_end(session);
	}
}

void bosh_endpoint_stop(struct bosh_endpoint *endpoint)
{
	if (endpoint) {
		due_queue_close(&endpoint->due);
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
