/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

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
		       struct bosh_carried **ret_session)
{
	size_t n_domain = strlen(domain);
	struct bosh_carried *session = calloc(1, sizeof(*session) + n_domain + 1);
	struct mono now = bosh_endpoint_now(endpoint);

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
	HASH_ADD(hh, endpoint->sessions, sid, SID_LENGTH, session);
	if (!session->hh.tbl) {
		bosh_session_free(session->engine);
		free(session);
		return -ENOMEM;
	}
	uv_timer_init(endpoint->env->loop, &session->timer);
	bosh_relay_created(endpoint->relay, request->exchange, session->sid);
	*ret_session = session;
	return 0;
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
	struct bosh_carried *session;
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
	bosh_carried_open(session, request, rule);
}

static struct bosh_carried *find(const struct bosh_endpoint *endpoint, struct sv sid)
{
	struct bosh_carried *session = NULL;

	if (sid.n == SID_LENGTH) {
		HASH_FIND(hh, endpoint->sessions, sid.data, SID_LENGTH, session);
	}
	return session;
}

static void on_request(void *userdata, struct bosh_request *request)
{
	struct bosh_endpoint *endpoint = userdata;
	struct bosh_carried *session = find(endpoint, request->body.sid);
	struct bosh_actions *actions = &endpoint->actions;

	if (session && (request->body_result != BOSH_BODY_OK || !request->body.has_rid)) {
		enum bosh_condition condition = request->body_result == BOSH_BODY_OK
							? BOSH_CONDITION_BAD_REQUEST
							: condition_of(request->body_result);

		bosh_carried_settle(session, bosh_session_refuse(session->engine, request->exchange, condition, actions));
	} else if (session) {
		bosh_carried_settle(session, bosh_session_request(session->engine, request->exchange, &request->body,
						     bosh_endpoint_now(session->endpoint), actions));
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
	struct bosh_carried *session = find(userdata, sid);

	if (session) {
		bosh_session_gone(session->engine, exchange, bosh_endpoint_now(session->endpoint));
		bosh_carried_arm(session);
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
	struct bosh_carried *session, *next;
	struct failure failure;

	endpoint->shut = true;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	HASH_ITER(hh, endpoint->sessions, session, next)
	{
		int r = bosh_session_fail(session->engine, &failure, bosh_endpoint_now(session->endpoint), &endpoint->actions);

		session->link = link_close(session->link);
		bosh_carried_settle(session, r);
		bosh_carried_end(session);
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
